"use strict";
// What the viewer draws with: colours, voxels out of the page's text, and the marks on a plane.
// A ``plane`` has ``columns`` and ``rows``, ``step`` and ``line`` (voxels from one to the next of
// either), ``widthMm``, and the ``letters`` of its left, right, upper and lower side.

const GREY = [[0, 0, 0], [255, 255, 255]];
const DIVERGING = [[5, 48, 97], [67, 147, 195], [247, 247, 247], [214, 96, 77], [103, 0, 31]];
const MARKS = "#ffd700";
const OUTLINE = "#00e5ff";
const BAR_MM = 50;

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/** 256 colours through the given ones, as [r, g, b, r, g, b, ...]. */
function ramp(stops) {
  return Uint8ClampedArray.from({ length: 768 }, (_, n) => {
    const place = (Math.floor(n / 3) / 255) * (stops.length - 1);
    const stop = Math.min(Math.floor(place), stops.length - 2);
    const [from, to] = [stops[stop][n % 3], stops[stop + 1][n % 3]];
    return from + (to - from) * (place - stop);
  });
}

/** int16 codes out of base64 of zlib: all low bytes, then all high bytes. */
async function unpacked(text, count) {
  const packed = Uint8Array.from(atob(text.trim()), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  if (bytes.length !== 2 * count) throw new Error(`${bytes.length} bytes for ${count} voxels`);
  return Int16Array.from({ length: count }, (_, n) => bytes[n] | (bytes[count + n] << 8));
}

/** A plane whose upper left voxel is ``start``, a pixel a voxel, two layers blended. */
function slicePicture({ columns, rows, step, line }, start, layers, share) {
  const data = new ImageData(columns, rows);
  const [a, b] = layers.map(({ at, low, high, colours }) => (voxel, c) =>
    colours[3 * clamp(Math.round(((at(voxel) - low) / (high - low)) * 255), 0, 255) + c]);
  for (let row = 0, pixel = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, pixel += 4) {
      const voxel = start + row * line + column * step;
      for (let c = 0; c < 3; c++) data.data[pixel + c] = (1 - share) * a(voxel, c) + share * b(voxel, c);
      data.data[pixel + 3] = 255;
    }
  }
  const picture = new OffscreenCanvas(columns, rows);
  picture.getContext("2d").putImageData(data, 0, 0);
  return picture;
}

function drawLines(context, lines) {
  context.beginPath();
  for (const [x0, y0, x1, y1] of lines) {
    context.moveTo(x0, y0);
    context.lineTo(x1, y1);
  }
  context.stroke();
}

/** The border of a mask, between its voxels and others; ``pixels`` is the width of a thin line. */
function drawOutline(context, { columns, rows, step, line }, start, mask, pixels) {
  const [w, h] = [context.canvas.width / columns, context.canvas.height / rows];
  const inside = (column, row) => column >= 0 && row >= 0 && column < columns && row < rows &&
    mask[start + column * step + row * line] === 1;
  const lines = [];
  for (let row = 0; row <= rows; row++) {
    for (let column = 0; column <= columns; column++) {
      const [here, x, y] = [inside(column, row), column * w, row * h];
      if (here !== inside(column - 1, row)) lines.push([x, y, x, y + h]);
      if (here !== inside(column, row - 1)) lines.push([x, y, x + w, y]);
    }
  }
  Object.assign(context, { strokeStyle: OUTLINE, lineWidth: pixels });
  drawLines(context, lines);
}

/** Letters of the sides, and a bar of 50 mm. */
function drawLetters(context, { widthMm, letters }, pixels) {
  const { width, height } = context.canvas;
  const edge = 9 * pixels;
  const places = [[edge, height / 2], [width - edge, height / 2], [width / 2, edge], [width / 2, height - edge]];
  Object.assign(context, { fillStyle: MARKS, shadowColor: "#000", shadowBlur: 3 * pixels });
  Object.assign(context, { font: `bold ${13 * pixels}px sans-serif`, textAlign: "center", textBaseline: "middle" });
  letters.forEach((letter, n) => context.fillText(letter, ...places[n]));
  if (widthMm > 2 * BAR_MM) {
    const bar = (BAR_MM * width) / widthMm;
    context.font = `${10 * pixels}px sans-serif`;
    context.fillRect(edge, height - edge, bar, 2 * pixels);
    context.fillText(`${BAR_MM} mm`, edge + bar / 2, height - 2 * edge);
  }
  context.shadowBlur = 0;
}

/** Lines through a voxel, with a gap at it and the letters left free. */
function drawCross(context, { columns, rows }, [column, row], pixels) {
  const { width, height } = context.canvas;
  const [x, y] = [((column + 0.5) * width) / columns, ((row + 0.5) * height) / rows];
  const [gap, edge] = [8 * pixels, 18 * pixels];
  const lines = [
    [edge, y, x - gap, y], [x + gap, y, width - edge, y], [x, edge, x, y - gap], [x, y + gap, x, height - edge],
  ];
  Object.assign(context, { strokeStyle: MARKS, lineWidth: pixels, globalAlpha: 0.6 });
  drawLines(context, lines.filter(([x0, y0, x1, y1]) => x1 >= x0 && y1 >= y0));
  context.globalAlpha = 1;
}
