// The chosen theme, before anything is drawn. Without a choice the system's applies.
try {
  document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "";
} catch {
  // A browser that keeps no data for this site keeps no choice either.
}
