// Texts of scripts in the language of the page. They stand in English where they are used; `data-words` of the page has
// what they are in its language: a text, or for a plural one text for each category of numbers.

const { lang, dataset } = document.documentElement;
const words = JSON.parse(dataset.words ?? "{}");
const plural = new Intl.PluralRules(lang || "en");

// Return a text with `values` in place of `%(name)s`.
export function gettext(message, values = {}) {
  return fill(words[message] ?? message, values);
}

// Return a text in the form that a number needs; `%(num)s` is the number.
export function ngettext(one, many, number, values = {}) {
  const forms = words[one] ?? { one, other: many };
  return fill(forms[plural.select(number)] ?? forms.other, { num: number.toLocaleString(lang || "en"), ...values });
}

function fill(text, values) {
  return text.replace(/%\((\w+)\)s|%%/g, (found, name) => (name === undefined ? "%" : String(values[name])));
}
