// What scripts say, in the language of the page: <body data-words> has the messages of the catalogue
// (web/pages/framework/language.py); what it lacks is English.
"use strict";

const WORDS = JSON.parse(document.body?.dataset.words || "{}");

function say(message, values = {}) {
  const text = WORDS[message] ?? message;
  return text.replace(/\{([a-z]+)\}/g, (place, name) => values[name] ?? place);
}
