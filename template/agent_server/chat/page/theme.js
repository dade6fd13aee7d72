// Sets the chosen theme before anything is drawn. Without a choice, the system's applies.
try {
  document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "";
  document.documentElement.classList.toggle("folded", localStorage.getItem("folded") === "true");
} catch {
  // The browser stores no data for this site, so there is no choice.
}
