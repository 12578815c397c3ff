// Calls of the control API, by the token that the page was opened with.

const BASE = new URL("./", document.baseURI);
const TOKEN = "exemplar.token";
const RETRIES = 3;

export class ApiError extends Error {
  constructor(status, { code, message, fix, details } = {}) {
    super(message || `the server answered ${status}`);
    this.status = status;
    this.code = code || "error";
    this.fix = fix || "";
    this.details = details || [];
  }
}

// A link such as …/#token=xt_… signs in; the token leaves the address bar at once.
export function takeToken() {
  const found = /^#token=([\w.-]+)/.exec(location.hash);
  if (found) {
    localStorage.setItem(TOKEN, found[1]);
    const rest = new URLSearchParams(location.hash.slice(1));
    history.replaceState(null, "", `#/${rest.get("project") || ""}`);
  }
  return localStorage.getItem(TOKEN) || "";
}

export function signIn(token) {
  localStorage.setItem(TOKEN, token.trim());
}

export function signOut() {
  localStorage.removeItem(TOKEN);
}

export async function call(method, path, body, { signal, patient = true } = {}) {
  const options = {
    method,
    signal,
    headers: { authorization: `Bearer ${localStorage.getItem(TOKEN) || ""}` },
  };
  if (body !== undefined) {
    options.headers["content-type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  // Everything here may be repeated: what a caller asks twice happens once.
  for (let attempt = 0; ; attempt += 1) {
    const answer = await attemptedCall(path, options);
    const mayPass = answer.status === 0 || answer.status === 429 || answer.status >= 502;
    if (!mayPass || !patient || attempt >= RETRIES) return finished(answer);
    await pause(400 * 2 ** attempt);
  }
}

async function attemptedCall(path, options) {
  try {
    const response = await fetch(new URL(path, BASE), options);
    const text = await response.text();
    return { status: response.status, document: parsed(text) };
  } catch (error) {
    if (error.name === "AbortError") throw error;
    return { status: 0, document: null };
  }
}

function finished({ status, document: found }) {
  if (status >= 200 && status < 300 && found !== null) return found;
  if (status === 0) {
    throw new ApiError(0, {
      code: "offline",
      message: "the server does not answer",
      fix: "check that it is running and that you are connected",
    });
  }
  if (status === 401 || status === 403) {
    const known = found?.error;
    if (!known) {
      dispatchEvent(new CustomEvent("signed-out", { detail: "refused" }));
      throw new ApiError(status, {
        code: "unauthorized",
        message: "your sign-in is no longer valid",
        fix: "open your link again",
      });
    }
  }
  throw new ApiError(status, found?.error);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export const projectPath = (name, ...rest) =>
  ["v1/projects", name, ...rest].map((part, i) => (i ? encodeURIComponent(part) : part)).join("/");

// A document behind a presigned address.
export async function stored(url) {
  const response = await fetch(url);
  if (!response.ok) throw new ApiError(response.status, { message: "the file could not be fetched" });
  return response.json();
}
