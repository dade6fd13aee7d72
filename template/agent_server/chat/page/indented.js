/** JSON as people read it. */

const MOST_INDENTED = 200_000; // characters of JSON

/** Return JSON with line breaks, if it is JSON, and not too much of it. */
export function indented(text) {
  if (text.length > MOST_INDENTED || isDeep(text)) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** Whether JSON is so deep that its indentation would be most of it. */
function isDeep(text) {
  let depth = 0;
  return text.match(/[[\]{}]/g)?.some((mark) => (depth += "[{".includes(mark) ? 1 : -1) > 32);
}
