"use strict";
// Shows the images of a patient: three planes, a window in HU, two images blended. Draws on plain
// canvases, so that no graphics card is needed. Images are unpacked when a viewer is opened and
// let go when it is closed. Voxels are counted from the patient's right, front and head.

const PLANES = {
  Axial: { across: 2, right: 0, down: 1, letters: ["R", "L", "A", "P"] },
  Coronal: { across: 1, right: 0, down: 2, letters: ["R", "L", "S", "I"] },
  Sagittal: { across: 0, right: 1, down: 2, letters: ["A", "P", "S", "I"] },
};
const TOWARDS = [["L", "R"], ["P", "A"], ["I", "S"]]; // below and above 0 in RAS mm
const TALLEST_PX = 470;
const minus = (text) => text.replace("-", "\u2212");
const PAGE = 10; // slices a page key scrolls
const WHEEL_PX = 100; // a notch of a wheel; a touchpad sends many small turns

class Viewer {
  constructor(root) {
    this.root = root;
    this.about = JSON.parse(root.querySelector(".about").textContent);
    this.find = (selector) => root.querySelector(selector);
    const { shape, presets } = this.about;
    this.cursor = shape.map((n) => n >> 1);
    this.under = null; // the voxel under the pointer
    this.strides = [1, shape[0], shape[0] * shape[1]];
    this.selects = [...root.querySelectorAll("select.layer")];
    this.setWindow(presets[1].level, presets[1].width);
    this.planes = [...root.querySelectorAll(".plane")].map((figure) => this.plane(figure));
    this.buildControls();
    root.addEventListener("toggle", () => (root.open ? this.open() : this.close()));
    root.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.find(".planes"));
    if (root.open) this.open();
  }

  async open() {
    const message = this.find(".message");
    message.textContent = "Unpacking the images \u2026";
    message.hidden = false;
    try {
      const count = this.about.shape.reduce((a, b) => a * b);
      const texts = [...this.root.querySelectorAll(".voxels")].map((element) => element.textContent);
      const codes = await Promise.all(texts.map((text) => unpacked(text, count)));
      this.body = this.about.hasBody ? codes.pop() : null;
      this.images = this.imagesOf(codes);
    } catch (error) {
      const isOld = typeof DecompressionStream === "undefined";
      message.textContent = isOld
        ? "To show the images, a browser must be as new as Chrome or Edge 80, Firefox 113, Safari 16.4."
        : `The images cannot be shown: ${error.message}.`;
      console.error(error);
      return;
    }
    if (!this.root.open) return this.close();
    message.hidden = true;
    this.find(".viewing").hidden = false;
    this.draw();
  }

  close() {
    this.images = this.body = null;
    this.find(".viewing").hidden = true;
  }

  /** What can be chosen as a layer: a value at a voxel, and the colours from low to high. */
  imagesOf(codes) {
    const images = new Map();
    const [grey, diverging] = [ramp(GREY), ramp(DIVERGING)];
    this.about.images.forEach(({ name, unit, offset, step, low, high }, n) => {
      const at = (voxel) => offset + step * codes[n][voxel];
      images.set(name, { name, unit, at, low, high, colours: grey, stops: GREY });
    });
    for (const { name, first, second, most_hu: most } of this.about.differences) {
      const [one, other] = [images.get(first).at, images.get(second).at];
      const at = (voxel) => one(voxel) - other(voxel);
      images.set(name, { name, unit: "HU", at, low: -most, high: most, colours: diverging, stops: DIVERGING });
    }
    return images;
  }

  layer(number) {
    const image = this.images.get(this.selects[number].value);
    return image.low === undefined ? { ...image, low: this.level - this.width / 2, high: this.level + this.width / 2 } : image;
  }

  buildControls() {
    const { images, differences, layers, presets } = this.about;
    this.selects.forEach((select, n) => {
      for (const { name } of [...images, ...differences]) select.add(new Option(name, name, false, name === layers[n]));
      select.addEventListener("change", () => this.draw());
    });
    presets.forEach(({ name, level, width }, n) => {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", textContent: `${n + 1} ${name}`, title: `L ${level} W ${width} HU` });
      button.addEventListener("click", () => this.setWindow(level, width));
      this.find(".presets").append(button, " ");
    });
    for (const input of [this.find(".level"), this.find(".width")]) {
      input.addEventListener("change", () => this.setWindow(+this.find(".level").value, +this.find(".width").value));
    }
    for (const mark of this.root.querySelectorAll(".share, .cross, .outline")) {
      mark.addEventListener("input", () => this.draw());
    }
    this.find(".window").hidden = !images.some(({ unit }) => unit === "HU");
    this.showWindow();
  }

  setWindow(level, width) {
    [this.level, this.width] = [Number.isFinite(level) ? level : 0, Math.max(1, width || 1)];
    if (this.planes) this.showWindow();
    this.draw();
  }

  showWindow() {
    [this.find(".level").value, this.find(".width").value] = [this.level, this.width];
    this.about.presets.forEach(({ level, width }, n) => {
      const chosen = level === this.level && width === this.width;
      this.root.querySelectorAll(".presets button")[n].setAttribute("aria-pressed", chosen);
    });
  }

  /** One plane: its canvas, as wide and high as it is in mm, and what scrolls it. */
  plane(figure) {
    const { shape, spacingMm, leastVoxels } = this.about;
    const axes = PLANES[figure.dataset.plane];
    const [columns, rows] = [shape[axes.right], shape[axes.down]];
    const [widthMm, heightMm] = [columns * spacingMm[axes.right], rows * spacingMm[axes.down]];
    const [canvas, slider] = [figure.querySelector("canvas"), figure.querySelector("input")];
    const [step, line] = [this.strides[axes.right], this.strides[axes.down]];
    const plane = { ...axes, figure, canvas, slider, columns, rows, step, line, widthMm, heightMm };
    let turned = 0;
    figure.hidden = Math.min(columns, rows) < leastVoxels;
    canvas.style.aspectRatio = `${widthMm} / ${heightMm}`;
    slider.max = shape[axes.across] - 1;
    slider.addEventListener("input", () => this.scrollTo(axes.across, +slider.value));
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      turned += event.deltaMode === 0 ? event.deltaY : Math.sign(event.deltaY) * WHEEL_PX;
      const slices = Math.trunc(turned / WHEEL_PX);
      turned -= slices * WHEEL_PX;
      this.scrollTo(axes.across, this.cursor[axes.across] + slices);
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    for (const kind of ["pointerdown", "pointermove"]) {
      canvas.addEventListener(kind, (event) => this.point(plane, event));
    }
    canvas.addEventListener("pointerleave", () => this.read(null));
    return plane;
  }

  point(plane, event) {
    const { width, height } = plane.canvas.getBoundingClientRect();
    const voxel = [...this.cursor];
    voxel[plane.right] = clamp(Math.floor((event.offsetX / width) * plane.columns), 0, plane.columns - 1);
    voxel[plane.down] = clamp(Math.floor((event.offsetY / height) * plane.rows), 0, plane.rows - 1);
    if (event.buttons & 1) {
      this.cursor = voxel;
      this.draw();
    }
    this.read(voxel);
  }

  scrollTo(axis, index) {
    this.cursor[axis] = clamp(index, 0, this.about.shape[axis] - 1);
    if (this.under) this.under[axis] = this.cursor[axis];
    this.draw();
  }

  key(event) {
    const field = event.target.closest("input, select");
    if (!this.images || field?.matches("select, [type=number]") || event.ctrlKey || event.altKey || event.metaKey) return;
    const plane = this.planes.find(({ canvas }) => canvas === event.target);
    const scroll = { ArrowUp: -1, ArrowDown: 1, PageUp: -PAGE, PageDown: PAGE, Home: -Infinity, End: Infinity }[event.key];
    const blend = { ArrowLeft: -5, ArrowRight: 5 }[event.key];
    const preset = /^[1-9]$/.test(event.key) ? this.about.presets[event.key - 1] : undefined;
    if (plane && scroll) this.scrollTo(plane.across, this.cursor[plane.across] + scroll);
    else if (plane && blend) this.find(".share").value = +this.find(".share").value + blend;
    else if (preset) this.setWindow(preset.level, preset.width);
    else if (event.key.toLowerCase() === "c") this.find(".cross").click();
    else if (event.key.toLowerCase() === "x") this.find(".share").value = 100 - this.find(".share").value;
    else return;
    event.preventDefault();
    this.draw();
  }

  draw() {
    if (!this.images || this.find(".viewing").hidden) return;
    const shown = this.planes.filter(({ figure }) => !figure.hidden);
    const tallest = Math.max(...shown.map(({ heightMm }) => heightMm));
    const wide = shown.reduce((sum, { widthMm }) => sum + widthMm, 0);
    Object.assign(this.find(".planes").style, { // columns as wide as the planes: one scale for all
      gridTemplateColumns: shown.map(({ widthMm }) => `${widthMm}fr`).join(" "),
      maxWidth: `${(wide * TALLEST_PX) / tallest}px`,
    });
    const layers = [this.layer(0), this.layer(1)];
    const share = this.find(".share").value / 100;
    this.find(".shown").textContent = `${Math.round(100 * (1 - share))} % A, ${Math.round(100 * share)} % B`;
    for (const plane of shown) this.drawPlane(plane, layers, share);
    this.find(".legends").replaceChildren(...layers.map((layer, n) => this.legend(layer, "AB"[n], [1 - share, share][n])));
    this.read(this.under);
  }

  drawPlane(plane, layers, share) {
    const { canvas, slider, across, right, down } = plane;
    const pixels = devicePixelRatio;
    canvas.width = Math.round(canvas.clientWidth * pixels);
    canvas.height = Math.round(canvas.clientHeight * pixels);
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "low"; // linear: better ones overshoot at edges
    const start = this.cursor[across] * this.strides[across];
    context.drawImage(slicePicture(plane, start, layers, share), 0, 0, canvas.width, canvas.height);
    if (this.body && this.find(".outline").checked) drawOutline(context, plane, start, this.body, pixels);
    if (this.find(".cross").checked) drawCross(context, plane, [this.cursor[right], this.cursor[down]], pixels);
    drawLetters(context, plane, pixels);
    const index = this.cursor[across];
    const centre = this.about.shape.map((n, axis) => (axis === across ? index : (n - 1) / 2));
    slider.value = index;
    plane.figure.querySelector("figcaption").textContent =
      `${plane.figure.dataset.plane} ${index + 1}/${this.about.shape[across]}, ${this.placed(centre, across, 0)} mm`;
  }

  legend({ name, low, high, unit, stops }, letter, share) {
    const [line, title, bar] = ["div", "b", "span"].map((tag) => document.createElement(tag));
    title.textContent = `${letter}, ${Math.round(100 * share)} %: ${name}`;
    bar.className = "bar";
    bar.style.background = `linear-gradient(to right, ${stops.map((rgb) => `rgb(${rgb})`).join(", ")})`;
    line.append(title, minus(low.toFixed(0)), bar, minus(`${high.toFixed(0)} ${unit}`));
    return line;
  }

  /** A voxel's place along a world axis, as in "S 34". */
  placed(voxel, axis, digits) {
    const row = this.about.affineRas[axis];
    const mm = row[0] * voxel[0] + row[1] * voxel[1] + row[2] * voxel[2] + row[3];
    return `${TOWARDS[axis][mm >= 0 ? 1 : 0]} ${Math.abs(mm).toFixed(digits)}`;
  }

  /** Say what is at a voxel: under the pointer, or else at the crosshair. */
  read(voxel) {
    this.under = voxel;
    if (!this.images) return;
    const at = voxel ?? this.cursor;
    const index = at.reduce((sum, n, axis) => sum + n * this.strides[axis], 0);
    const values = [...this.images.values()].map(({ name, unit, at: value }) => `${name}: ${minus(value(index).toFixed(0))} ${unit}`);
    const place = [0, 1, 2].map((axis) => this.placed(at, axis, 1)).join(" ");
    this.find(".readout").textContent = `${voxel ? "Under the pointer" : "At the crosshair"}, ${place} mm: ${values.join(" \u00b7 ")}`;
  }
}

for (const root of document.querySelectorAll("details.viewer")) new Viewer(root);
