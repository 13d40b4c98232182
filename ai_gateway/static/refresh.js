// Keeps the sections with `data-live` of a page fresh: one request for all of them, never two at
// once, none while nobody looks, and none that takes a section away from under its reader.

const SLOW_MS = 2000;
const BACK_OFF = [1, 2, 4, 10];

const control = document.querySelector(".refresh");
const note = control?.querySelector(".refresh__note");
const pauseButton = control?.querySelector("[data-refresh-pause]");
const everyMs = Number(control?.dataset.refreshSeconds ?? 0) * 1000;

let request = null;
let timer = 0;
let failures = 0;
let askedAt = Date.now();
let isPaused = sessionStorage.getItem("refresh") === "paused";
let hasEnded = false;

function isInUse(section) {
  const chosen = getSelection();
  return (
    section.contains(document.activeElement) ||
    section.querySelector("details[open], dialog[open]") !== null ||
    (!chosen.isCollapsed && chosen.containsNode(section, true))
  );
}

function swap(page) {
  let left = 0;
  for (const section of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(section.id);
    if (!fresh) continue;
    if (isInUse(section)) left += 1;
    else section.replaceWith(document.adoptNode(fresh));
  }
  note.textContent = left ? "A section in use was left as it is." : "";
  document.dispatchEvent(new CustomEvent("house:refreshed"));
}

function end(words) {
  hasEnded = true;
  clearTimeout(timer);
  note.textContent = words;
}

async function refresh() {
  if (request || hasEnded) return;
  clearTimeout(timer);
  askedAt = Date.now();
  request = new AbortController();
  const slow = setTimeout(() => (note.textContent = "Still loading; Pause cancels it."), SLOW_MS);
  control.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(control.dataset.refreshUrl, {
      headers: { "X-Fragment": "refresh" },
      redirect: "manual",
      signal: request.signal,
    });
    // A log-in that is needed again is a redirect, which is not followed.
    if (answer.status === 401 || answer.type === "opaqueredirect") return end("Signed out. Reload to log in.");
    if (!answer.ok) throw new Error(answer.status);
    swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
    failures = 0;
  } catch (error) {
    failures += 1;
    note.textContent = isPaused ? "" : `Refresh failed; next try in ${delayMs() / 1000} s.`;
  } finally {
    clearTimeout(slow);
    request = null;
    control.removeAttribute("aria-busy");
    plan();
  }
}

function delayMs() {
  return everyMs * BACK_OFF[Math.min(failures, BACK_OFF.length - 1)];
}

function plan() {
  clearTimeout(timer);
  if (isPaused || hasEnded || document.hidden) return;
  timer = setTimeout(refresh, Math.max(0, askedAt + delayMs() - Date.now()));
}

function showPause() {
  pauseButton.hidden = false;
  pauseButton.setAttribute("aria-pressed", isPaused);
  control.classList.toggle("refresh--paused", isPaused);
}

if (everyMs) {
  document.addEventListener("visibilitychange", plan);
  pauseButton.addEventListener("click", () => {
    isPaused = !isPaused;
    sessionStorage.setItem("refresh", isPaused ? "paused" : "on");
    if (isPaused) request?.abort();
    showPause();
    plan();
  });
  control.querySelector("[data-refresh-now]").addEventListener("click", (event) => {
    event.preventDefault();
    refresh();
  });
  showPause();
  plan();
}
