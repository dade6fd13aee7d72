/** The list beside the conversation: a drawer on a phone, and elsewhere a column to fold away. */

import { $ } from "./dom.js";
import { keep } from "./storage.js";

const narrow = matchMedia("(max-width: 760px)");
const root = document.documentElement;

/** Open or close the drawer, and focus `first` in it; where the list is a column, unfold it. */
export function openList(open, first = $("close-list")) {
  if (open && !narrow.matches) fold(false);
  document.body.classList.toggle("list-open", open && narrow.matches);
  $("open-list").setAttribute("aria-expanded", open);
  $("page").inert = open && narrow.matches;
  if (open) first.focus();
}

/** Show the list where it is hidden, and hide it where it is shown. */
export function toggleList() {
  if (narrow.matches) openList(!document.body.classList.contains("list-open"));
  else if (root.classList.contains("folded")) openList(true, $("new"));
  else fold(true);
}

function fold(folded) {
  root.classList.toggle("folded", folded);
  keep("folded", folded);
  if (folded) $("open-list").focus();
}

function switchTheme() {
  const { dataset } = root;
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  dataset.theme = (dataset.theme || system) === "dark" ? "light" : "dark";
  localStorage.setItem("theme", dataset.theme);
}

narrow.addEventListener("change", () => openList(false));
$("open-list").addEventListener("click", () => openList(true));
$("close-list").addEventListener("click", () => (narrow.matches ? openList(false) : fold(true)));
$("theme").addEventListener("click", switchTheme);
