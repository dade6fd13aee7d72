/** Ids of conversations, questions and responses. */

/** Return the id of the question that a response answers: it is in the response's id. */
export const questionOf = (id) =>
  id.replace(/^resp_(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");

/** Return the id of the response to a question. */
export const responseTo = (question) => `resp_${question.replaceAll("-", "")}`;

/** Return a new UUID; browsers offer one only on localhost and https. */
export function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  const digits = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return questionOf(`resp_${digits}`);
}
