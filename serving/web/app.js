// The page: who is signed in, and which project and part of it the address names.

import { signOut, takeToken, signIn, call } from "./api.js";
import { html, render, useEffect, useState, usePolled } from "./elements.js";
import { ProjectList } from "./projects.js";
import { ProjectPage } from "./project.js";

function App() {
  const [token, setToken] = useState(takeToken());
  const [route, setRoute] = useState(routeOf());
  const [isRefused, setRefused] = useState(false);
  useEffect(() => {
    const moved = () => {
      setToken(takeToken());
      setRoute(routeOf());
    };
    const ended = ({ detail }) => {
      setRefused(detail === "refused");
      signOut();
      setToken("");
    };
    addEventListener("hashchange", moved);
    addEventListener("signed-out", ended);
    return () => {
      removeEventListener("hashchange", moved);
      removeEventListener("signed-out", ended);
    };
  }, []);
  useEffect(() => {
    document.title = route.project ? `${route.project} – Exemplar` : "Exemplar";
  }, [route.project]);
  if (!token) return html`<${SignIn} onToken=${setToken} isRefused=${isRefused} />`;
  return html`<${Signed} key=${token} route=${route} />`;
}

function Signed({ route }) {
  const [account] = usePolled(() => call("GET", "v1/account"), 0, []);
  return html`
    <a class="skip" href="#main" onClick=${(event) => {
      event.preventDefault();
      document.querySelector("main").focus();
    }}>Skip to the content</a>
    <header class="top">
      <a class="brand" href="#/"><img src="./page/icon.svg" alt="" width="28" height="28" />Exemplar</a>
      <span class="grow"></span>
      ${account && html`<span class="who">${account.user}</span>`}
      <button class="quiet small" onClick=${() => dispatchEvent(new Event("signed-out"))}>Sign out</button>
    </header>
    <main id="main" tabindex="-1">
      ${route.project
        ? html`<${ProjectPage} key=${route.project} name=${route.project} part=${route.part} account=${account} />`
        : html`<${ProjectList} />`}
    </main>`;
}

function SignIn({ onToken, isRefused }) {
  const [given, setGiven] = useState("");
  const enter = (event) => {
    event.preventDefault();
    const token = /token=([\w.-]+)/.exec(given)?.[1] || given.trim();
    if (!token) return;
    signIn(token);
    onToken(token);
  };
  return html`<main class="sign-in" id="main">
    <img src="./page/icon.svg" alt="" width="56" height="56" />
    <h1>Exemplar</h1>
    <p>Labelled examples in, a private inference endpoint out.</p>
    <form class="card" onSubmit=${enter}>
      ${isRefused && html`<p class="note bad" role="alert">Your sign-in is no longer valid. Open your link again, or ask for a new one.</p>`}
      <label class="field">Your link or token
        <input type="password" autocomplete="current-password" value=${given}
          onInput=${(event) => setGiven(event.target.value)} placeholder="xt_…" autofocus />
      </label>
      <button class="primary" disabled=${!given.trim()}>Sign in</button>
      <p class="dim">On this computer, <code>exemplar status</code> prints your link. Elsewhere,
        whoever runs the system gives you one.</p>
    </form>
  </main>`;
}

function routeOf() {
  const [project = "", part = "train"] = location.hash.replace(/^#\/?/, "").split("/").map(decoded);
  return { project: project.startsWith("token=") ? "" : project, part };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const place = document.getElementById("app");
place.replaceChildren(); // the word that was there while this loaded
render(html`<${App} />`, place);
