// The camera: hold the button to record, as long as you like.

import { Icon, html, useEffect, useRef, useState } from "./elements.js";

const SIDE_PX = 448;
const EVERY_MS = 125;

export function Webcam({ label, onShot, onClose }) {
  const [video, problem] = useCamera();
  const [count, setCount] = useState(0);
  const timer = useRef(0);
  const shoot = async () => {
    const file = await shot(video.current);
    if (!file) return;
    onShot(file);
    setCount((n) => n + 1);
  };
  const begin = (event) => {
    if (event.type === "keydown" && (event.repeat || ![" ", "Enter"].includes(event.key))) return;
    event.preventDefault();
    if (timer.current) return;
    // The page may grow meanwhile and the button move from under the pointer.
    if (event.pointerId !== undefined) event.currentTarget.setPointerCapture(event.pointerId);
    shoot();
    timer.current = setInterval(shoot, EVERY_MS);
  };
  const end = () => {
    clearInterval(timer.current);
    timer.current = 0;
  };
  useEffect(() => end, []);
  return html`<div class="webcam">
    ${problem ? html`<p class="note bad" role="alert">${problem}</p>` : html`<video ref=${video} autoplay playsinline muted></video>`}
    <div class="actions">
      ${!problem && html`<button class="primary" onPointerDown=${begin} onPointerUp=${end} onPointerCancel=${end}
        onKeyDown=${begin} onKeyUp=${end} onBlur=${end} aria-label=${`Hold to record pictures of ${label}`}>Hold to record</button>
      <span class="dim" aria-live="polite">${count ? `${count} taken` : "move and turn it while you hold"}</span>`}
      <button class="quiet small" onClick=${onClose}><${Icon} name="close" />Close camera</button>
    </div>
  </div>`;
}

export function useCamera() {
  const video = useRef(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    let stream = null;
    let isOver = false;
    (async () => {
      try {
        if (!navigator.mediaDevices) throw new Error("insecure");
        stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 }, height: { ideal: 640 }, facingMode: "environment" } });
        if (isOver) return stop(stream);
        video.current.srcObject = stream;
      } catch (error) {
        setProblem(told(error));
      }
      return undefined;
    })();
    return () => {
      isOver = true;
      if (stream) stop(stream);
    };
  }, []);
  return [video, problem];
}

const stop = (stream) => stream.getTracks().forEach((track) => track.stop());

function told(error) {
  if (error.name === "NotAllowedError") return "The camera is blocked: allow it beside the address of this page, then open it again.";
  if (error.name === "NotFoundError") return "No camera was found: plug one in, or add pictures from files.";
  if (error.message === "insecure") return "Browsers open the camera only for pages over https, or on this computer.";
  return "The camera could not be opened: another program may be using it.";
}

// The middle square, small: null before the first frame.
export async function shot(video) {
  if (!video?.videoWidth) return null;
  const side = Math.min(video.videoWidth, video.videoHeight);
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = Math.min(SIDE_PX, side);
  const left = (video.videoWidth - side) / 2;
  const top = (video.videoHeight - side) / 2;
  canvas.getContext("2d").drawImage(video, left, top, side, side, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.9));
  return new File([blob], `webcam-${new Date().toISOString().replace(/[:.]/g, "-")}.jpg`, { type: "image/jpeg" });
}
