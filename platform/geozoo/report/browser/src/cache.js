/** Promises by key, the oldest forgotten first; one that fails is not kept. */
export class Cache {
  constructor(most) {
    this.most = most;
    this.kept = new Map();
  }

  get(key, make) {
    if (!this.kept.has(key)) {
      const made = make();
      made.catch(() => this.kept.delete(key));
      this.kept.set(key, made);
      if (this.kept.size > this.most) this.kept.delete(this.kept.keys().next().value);
    }
    return this.kept.get(key);
  }
}
