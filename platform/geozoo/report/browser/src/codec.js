// Stands in for the compressors that no zoo uses.
export default class MissingCodec {
  static fromConfig() {
    throw new Error("These weights are compressed in a way this page cannot read: publish the zoo again.");
  }
}
