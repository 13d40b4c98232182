// Two comforts; every page works without them.

// The theme: system, light or dark. The cookie lets the server write the choice into the page.
const root = document.documentElement;
const THEMES = ["system", "light", "dark"];

function showTheme(theme) {
  for (const button of document.querySelectorAll("[data-theme-toggle]")) {
    button.querySelector("span").textContent = `Theme: ${theme}`;
    button.hidden = false;
  }
}

for (const button of document.querySelectorAll("[data-theme-toggle]")) {
  button.addEventListener("click", () => {
    const current = THEMES.indexOf(root.dataset.theme ?? "system");
    const next = THEMES[(current + 1) % THEMES.length];
    if (next === "system") {
      delete root.dataset.theme;
    } else {
      root.dataset.theme = next;
    }
    const age = next === "system" ? 0 : 31536000;
    document.cookie = `${root.dataset.themeCookie}=${next}; path=/; max-age=${age}; samesite=lax`;
    showTheme(next);
  });
}
showTheme(root.dataset.theme ?? "system");

// Copy buttons; the clipboard is there on HTTPS and on loopback only.
if (navigator.clipboard) {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).innerText);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 2000);
    });
  }
}
