// Comforts of the staff pages. Every page works without them, but for charts and the refresh.

const root = document.documentElement;
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const on = (type, selector, act) =>
  document.addEventListener(type, (event) => {
    const found = event.target.closest?.(selector);
    if (found) act(found, event);
  });

// Theme: system, light or dark. The cookie lets the server write the choice into the page.
const THEMES = ["system", "light", "dark"];

function showTheme() {
  for (const button of all("[data-theme-toggle]")) {
    button.querySelector("span").textContent = `Theme: ${root.dataset.theme ?? "system"}`;
    button.hidden = false;
  }
}

on("click", "[data-theme-toggle]", () => {
  const next = THEMES[(THEMES.indexOf(root.dataset.theme ?? "system") + 1) % THEMES.length];
  if (next === "system") delete root.dataset.theme;
  else root.dataset.theme = next;
  const age = next === "system" ? 0 : 31536000;
  document.cookie = `${root.dataset.themeCookie}=${next}; path=/; max-age=${age}; samesite=lax`;
  showTheme();
});

// Copy: the clipboard is there on HTTPS and on loopback only.
on("click", "[data-copy]", async (button) => {
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).innerText);
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 2000);
});

// Times: of the reporting zone, as the server wrote them, or of the browser.
const LOCAL = new Intl.DateTimeFormat("en-GB", {
  day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
  timeZoneName: "short",
});

function showTimes() {
  const isLocal = localStorage.getItem("times") === "browser";
  for (const time of all("time[data-moment]")) {
    time.dataset.moment ||= time.textContent;
    time.textContent = isLocal ? LOCAL.format(new Date(time.dateTime)) : time.dataset.moment;
  }
  for (const button of all("[data-zone-switch]")) {
    const zone = isLocal ? LOCAL.resolvedOptions().timeZone : button.dataset.zoneSwitch;
    button.querySelector("span").textContent = `Times in ${zone}`;
    button.setAttribute("aria-pressed", isLocal);
    button.hidden = false;
  }
}

on("click", "[data-zone-switch]", (button) => {
  localStorage.setItem("times", button.getAttribute("aria-pressed") === "true" ? "reporting" : "browser");
  showTimes();
});

// Popovers and hints close on Escape, with the focus back on their button, and on a click elsewhere.
const POPOVERS = "details:is(.hint, [data-popover])[open]";

document.addEventListener("click", (event) => {
  for (const popover of all(POPOVERS)) if (!popover.contains(event.target)) popover.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const popover of all(POPOVERS)) {
    popover.open = false;
    if (popover.contains(document.activeElement)) popover.querySelector("summary").focus();
  }
});

// Dialogs: a link or a selection that leads to a confirmation opens it here. The browser gives the focus back at the end.
async function openDialog(link) {
  const answer = await fetch(link.href, { headers: { "X-Fragment": "dialog" }, redirect: "manual" });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const body = page.querySelector("[data-dialog-body]");
  if (!answer.ok || !body) throw new Error("no confirmation");
  const dialog = document.createElement("dialog");
  dialog.className = "dialog";
  dialog.setAttribute("aria-labelledby", body.getAttribute("aria-labelledby"));
  dialog.append(document.adoptNode(body));
  dialog.addEventListener("close", () => {
    dialog.remove();
    link.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
  dialog.querySelector("[data-cancel]").focus();
}

on("click", "a[data-dialog]", (link, event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  openDialog(link).catch(() => location.assign(link.href));
});
on("submit", "form[data-selection]", (form, event) => {
  event.preventDefault();
  const href = `${form.action}?${new URLSearchParams(new FormData(form, event.submitter))}`;
  openDialog({ href, focus: () => event.submitter?.focus() }).catch(() => location.assign(href));
});
on("click", "dialog [data-cancel]", (button, event) => {
  event.preventDefault();
  button.closest("dialog").close();
});

// Forms: one that was sent is not sent again, and a GET leaves out what is empty.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "yes";
  form.setAttribute("aria-busy", "true");
});
addEventListener("pageshow", () => {
  for (const form of all("form[data-sent]")) {
    delete form.dataset.sent;
    form.removeAttribute("aria-busy");
  }
});

// Selections: the box in the heading chooses all rows, and buttons wait for a row.
const rowsOf = (id) => all(`input[name=selected][form="${id}"]`);

function showSelection(form) {
  const rows = rowsOf(form.id);
  const chosen = rows.filter((box) => box.checked).length;
  form.querySelector("[data-selected-count]").textContent = `${chosen} selected`;
  for (const button of all("button", form)) button.disabled = chosen === 0;
  for (const box of all(`[data-select-all="${form.id}"]`)) {
    box.hidden = false;
    box.checked = chosen > 0 && chosen === rows.length;
    box.indeterminate = chosen > 0 && chosen < rows.length;
  }
}

document.addEventListener("change", (event) => {
  const box = event.target;
  if (box.dataset.selectAll) for (const row of rowsOf(box.dataset.selectAll)) row.checked = box.checked;
  const form = document.getElementById(box.dataset.selectAll ?? box.getAttribute("form"));
  if (form?.matches("[data-selection]")) showSelection(form);
});

// Shortcuts: single keys, never while typing or in a dialog, and they can be switched off.
const help = document.getElementById("shortcuts");
const areOn = () => localStorage.getItem("shortcuts") !== "off";
const press = (selector) => document.querySelector(selector)?.click();
const KEYS = {
  "/": () => document.querySelector("main input[type=search]")?.focus(),
  r: () => press("[data-refresh-now]"),
  ArrowLeft: () => press("[data-shift=ArrowLeft]"),
  ArrowRight: () => press("[data-shift=ArrowRight]"),
  "?": () => openHelp(),
};

function openHelp() {
  help.querySelector("input").checked = areOn();
  help.showModal();
}

document.addEventListener("keydown", (event) => {
  const isOurs = KEYS[event.key] && !event.ctrlKey && !event.metaKey && !event.altKey && !event.defaultPrevented;
  const isTaken = event.target.closest("input, textarea, select, dialog, [contenteditable], .scroll, pre");
  if (!help || !isOurs || isTaken || !areOn()) return;
  event.preventDefault();
  KEYS[event.key]();
});
on("click", "[data-shortcuts]", openHelp);
on("change", "#shortcuts input", (box) => localStorage.setItem("shortcuts", box.checked ? "on" : "off"));

// Passwords: shown while they are typed, for those who want to see them.
on("click", "[data-reveal]", (button) => {
  const input = document.getElementById(button.dataset.reveal);
  const isShown = input.type === "password";
  input.type = isShown ? "text" : "password";
  button.textContent = isShown ? "Hide" : "Show";
  button.setAttribute("aria-pressed", isShown);
});

// How long to wait, counted down.
for (const timer of all("[data-countdown]")) {
  const endsAt = Date.now() + timer.dataset.countdown * 1000;
  const tick = () => {
    const left = Math.max(0, Math.ceil((endsAt - Date.now()) / 1000));
    timer.textContent = left ? `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")} left` : "You can try again now.";
    if (!left) clearInterval(beat);
  };
  const beat = setInterval(tick, 1000);
  timer.hidden = false;
  tick();
}

function dress() {
  showTheme();
  showTimes();
  all("[data-selection]").forEach(showSelection);
  if (navigator.clipboard) for (const button of all("[data-copy]")) button.hidden = false;
  for (const button of all("[data-shortcuts]")) button.hidden = !help;
  for (const button of all("[data-reveal]")) button.hidden = false;
}

dress();
document.addEventListener("house:refreshed", dress);
