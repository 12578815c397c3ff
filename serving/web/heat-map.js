// A picture with what speaks for the answer drawn over it.

import { html, useEffect, useRef } from "./elements.js";

const SIDE_PX = 320;

export function HeatMap({ url, explanation }) {
  const canvas = useRef(null);
  useEffect(() => {
    const image = new Image();
    image.onload = () => draw(canvas.current, image, explanation);
    image.src = url;
    return () => {
      image.onload = null;
    };
  }, [url, explanation]);
  return html`<canvas ref=${canvas} role="img" aria-label=${`What speaks for ${explanation.class}, drawn over the picture`}></canvas>`;
}

function draw(canvas, image, { map, box }) {
  if (!canvas) return;
  const scale = SIDE_PX / Math.max(image.naturalWidth, image.naturalHeight);
  canvas.width = Math.max(1, Math.round(image.naturalWidth * scale));
  canvas.height = Math.max(1, Math.round(image.naturalHeight * scale));
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  const [left, top, right, bottom] = box;
  const place = [left * canvas.width, top * canvas.height, (right - left) * canvas.width, (bottom - top) * canvas.height];
  context.fillStyle = "rgb(10 10 30 / 55%)";
  context.fillRect(0, 0, canvas.width, canvas.height);
  // What matters is seen as it is, the rest stays dark.
  const mask = document.createElement("canvas");
  mask.width = map[0].length;
  mask.height = map.length;
  const pixels = mask.getContext("2d").createImageData(mask.width, mask.height);
  map.flat().forEach((value, i) => {
    pixels.data[4 * i + 3] = Math.round(255 * value);
  });
  mask.getContext("2d").putImageData(pixels, 0, 0);
  const bright = document.createElement("canvas");
  bright.width = canvas.width;
  bright.height = canvas.height;
  const over = bright.getContext("2d");
  over.imageSmoothingQuality = "high";
  over.drawImage(mask, ...place);
  over.globalCompositeOperation = "source-in";
  over.drawImage(image, 0, 0, canvas.width, canvas.height);
  context.drawImage(bright, 0, 0);
}
