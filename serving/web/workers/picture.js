// One picture: is it one, made smaller where it is large, its SHA-256 and a thumbnail.
// Runs in a worker, so that a thousand photographs do not stop the page.

const LONGEST_PX = 640; // models look at 224 to 518 pixels of the shorter side
const KEPT_BYTES = 400_000; // a small file of small size is sent as it is
const THUMB_PX = 128;
const SENT_AS_IS = new Set(["image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp"]);

self.onmessage = async ({ data: { id, file, wantsHash } }) => {
  try {
    self.postMessage({ id, ...(await prepared(file, wantsHash)) });
  } catch (error) {
    self.postMessage({ id, problem: error.message || "the picture could not be read" });
  }
};

async function prepared(file, wantsHash) {
  if (!file.size) throw new Error("the file is empty");
  const type = typeOf(new Uint8Array(await file.slice(0, 32).arrayBuffer()));
  if (!type) throw new Error("this is no picture (JPEG, PNG, WebP, GIF, BMP or TIFF)");
  const bitmap = await decoded(file, type);
  let blob = file;
  let sentType = type;
  let thumb = null;
  if (bitmap) {
    const longest = Math.max(bitmap.width, bitmap.height);
    const isSmall = longest <= LONGEST_PX && file.size <= KEPT_BYTES;
    if (!isSmall || !SENT_AS_IS.has(type)) {
      const hasAlpha = type === "image/png" || type === "image/webp" || type === "image/gif";
      sentType = hasAlpha ? "image/png" : "image/jpeg";
      blob = await drawn(bitmap, Math.min(1, LONGEST_PX / longest), sentType);
      if (sentType === "image/png" && blob.size > KEPT_BYTES && !seesThrough(bitmap)) {
        sentType = "image/jpeg";
        blob = await drawn(bitmap, Math.min(1, LONGEST_PX / longest), sentType);
      }
    }
    thumb = await thumbnail(bitmap);
    bitmap.close();
  }
  const bytes = await blob.arrayBuffer();
  const sha256 = wantsHash === false ? "" : hex(await crypto.subtle.digest("SHA-256", bytes));
  return { blob: new Blob([bytes], { type: sentType }), type: sentType, sha256, thumb };
}

async function decoded(file, type) {
  try {
    return await createImageBitmap(file);
  } catch {
    // No browser but one reads TIFF, the server does; of the others this is a verdict.
    if (type === "image/tiff") return null;
    if (type === "image/heic") {
      throw new Error(
        "this browser cannot read HEIC: choose “Most compatible” in the camera's settings",
      );
    }
    throw new Error("the picture is damaged or cut off");
  }
}

async function drawn(bitmap, scale, type) {
  const canvas = new OffscreenCanvas(
    Math.max(1, Math.round(bitmap.width * scale)),
    Math.max(1, Math.round(bitmap.height * scale)),
  );
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas.convertToBlob({ type, quality: 0.92 });
}

function seesThrough(bitmap) {
  const canvas = new OffscreenCanvas(32, 32);
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0, 32, 32);
  const pixels = context.getImageData(0, 0, 32, 32).data;
  for (let i = 3; i < pixels.length; i += 4) if (pixels[i] < 255) return true;
  return false;
}

async function thumbnail(bitmap) {
  const side = Math.min(bitmap.width, bitmap.height);
  const canvas = new OffscreenCanvas(THUMB_PX, THUMB_PX);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#fff";
  context.fillRect(0, 0, THUMB_PX, THUMB_PX);
  const left = (bitmap.width - side) / 2;
  const top = (bitmap.height - side) / 2;
  context.drawImage(bitmap, left, top, side, side, 0, 0, THUMB_PX, THUMB_PX);
  return canvas.convertToBlob({ type: "image/jpeg", quality: 0.75 });
}

// By content: a name says nothing.
function typeOf(head) {
  const text = String.fromCharCode(...head);
  if (text.startsWith("\xff\xd8\xff")) return "image/jpeg";
  if (text.startsWith("\x89PNG\r\n\x1a\n")) return "image/png";
  if (text.startsWith("GIF8")) return "image/gif";
  if (text.startsWith("RIFF") && text.slice(8, 12) === "WEBP") return "image/webp";
  if (text.startsWith("BM")) return "image/bmp";
  if (text.startsWith("II*\0") || text.startsWith("MM\0*")) return "image/tiff";
  if (text.slice(4, 8) === "ftyp") {
    return /avi[fs]/.test(text.slice(8, 32)) ? "image/avif" : "image/heic";
  }
  return "";
}

function hex(buffer) {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
