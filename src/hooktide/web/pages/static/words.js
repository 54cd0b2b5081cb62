// What scripts say, in the language of the page: <body data-words> has the messages of the catalogue
// (web/pages/framework/language.py); what it lacks is English.
"use strict";

const WORDS = JSON.parse(document.body?.dataset.words || "{}");

function say(message, values = {}) {
  const text = WORDS[message] ?? message;
  return text.replace(/\{([a-z]+)\}/g, (place, name) => values[name] ?? place);
}

const MONTH = new Intl.DateTimeFormat(document.documentElement.lang || "en", { month: "short", timeZone: "UTC" });

// The parts of a date in UTC, for a message: instants look as the server writes them.
function dated(at) {
  return { day: at.getUTCDate(), month: MONTH.format(at), year: at.getUTCFullYear(), time: at.toISOString().slice(11, 19) };
}

// A date whose UTC parts are what clocks show here.
function here(at) {
  return new Date(at.getTime() - at.getTimezoneOffset() * 60000);
}
