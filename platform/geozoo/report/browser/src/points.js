// Many points on a canvas: WebGL, or the plain canvas where there is none.

const VERTEX = `
  attribute vec2 place;
  attribute vec4 colour;
  uniform float size;
  varying vec4 shown;
  void main() {
    gl_Position = vec4(place * 2.0 - 1.0, 0.0, 1.0);
    gl_PointSize = size;
    shown = colour;
  }`;
const FRAGMENT = `
  precision mediump float;
  varying vec4 shown;
  void main() {
    float radius = length(gl_PointCoord - 0.5);
    gl_FragColor = vec4(shown.rgb, 1.0) * shown.a * (1.0 - smoothstep(0.35, 0.5, radius));
  }`;

/** Points on one canvas; places are between 0 and 1 from the lower left, colours are four bytes a point. */
export class Points {
  constructor(canvas) {
    this.canvas = canvas;
    this.gl = canvas.getContext("webgl", { antialias: false, premultipliedAlpha: true });
    if (this.gl) this.prepare();
  }

  prepare() {
    const { gl } = this;
    const program = gl.createProgram();
    for (const [type, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(type);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    gl.useProgram(program);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.size = gl.getUniformLocation(program, "size");
    this.inputs = ["place", "colour"].map((name) => [gl.getAttribLocation(program, name), gl.createBuffer()]);
  }

  /** Draw `count` points: `places` Float32Array `[2 count]`, `tints` Uint8Array `[4 count]`, in this order. */
  draw(places, tints, diameter) {
    const scale = devicePixelRatio;
    const { canvas } = this;
    canvas.width = Math.round(canvas.clientWidth * scale);
    canvas.height = Math.round(canvas.clientHeight * scale);
    if (this.gl) this.drawFast(places, tints, diameter * scale);
    else this.drawPlain(places, tints, diameter * scale);
  }

  drawFast(places, tints, diameter) {
    const { gl, canvas } = this;
    const [[place, placeBuffer], [colour, colourBuffer]] = this.inputs;
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform1f(this.size, diameter);
    for (const [location, buffer, data, width, type, normalised] of [
      [place, placeBuffer, places, 2, gl.FLOAT, false],
      [colour, colourBuffer, tints, 4, gl.UNSIGNED_BYTE, true],
    ]) {
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW);
      gl.enableVertexAttribArray(location);
      gl.vertexAttribPointer(location, width, type, normalised, 0, 0);
    }
    gl.drawArrays(gl.POINTS, 0, places.length / 2);
  }

  drawPlain(places, tints, diameter) {
    const { width, height } = this.canvas;
    const image = this.canvas.getContext("2d").createImageData(width, height);
    const side = Math.max(1, Math.round(diameter));
    for (let point = 0; point < places.length / 2; point++) {
      const left = Math.round(places[2 * point] * width - side / 2);
      const top = Math.round((1 - places[2 * point + 1]) * height - side / 2);
      for (let y = Math.max(0, top); y < Math.min(height, top + side); y++) {
        for (let x = Math.max(0, left); x < Math.min(width, left + side); x++) blend(image.data, 4 * (y * width + x), tints, 4 * point);
      }
    }
    this.canvas.getContext("2d").putImageData(image, 0, 0);
  }
}

/** Lay a colour over a pixel. */
function blend(pixels, at, tints, from) {
  const alpha = tints[from + 3] / 255;
  const below = (pixels[at + 3] / 255) * (1 - alpha);
  const whole = alpha + below;
  for (let channel = 0; channel < 3; channel++) {
    pixels[at + channel] = (tints[from + channel] * alpha + pixels[at + channel] * below) / whole;
  }
  pixels[at + 3] = 255 * whole;
}
