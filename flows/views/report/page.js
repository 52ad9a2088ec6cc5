"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const say = (text) => data.language[text] || text;
  const PAGE = 10;
  let shown = [];
  let until = 0;

  const made = (name, kind, text) => {
    const element = document.createElement(name);
    if (kind) element.className = kind;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const number = (value) => (value === null ? say("not rated") : say("rated {}").replace("{}", String(Math.round(value * 100) / 100)));

  const side = (title, kind, one) => {
    const column = made("div", title === "no pair" ? "why" : "");
    column.append(made("div", "who " + kind, [say(title), one.by, ...(kind ? [number(one.rating)] : [])].join(" · ")));
    const text = made("div", "text");
    text.dir = "auto";
    one.text.forEach((piece, place) => text.append(place % 2 ? made("mark", "", piece) : document.createTextNode(piece)));
    column.append(text);
    for (const [order, aspect, rating, words] of one.words || []) {
      const said = made("div", "words");
      said.append(made("div", "", aspect + ", " + say(order + " order") + ": " + (rating === null ? say("unreadable") : rating)));
      const quoted = made("div", "text", words);
      quoted.dir = "auto";
      said.append(quoted);
      column.append(said);
    }
    return column;
  };

  const drawn = (pair) => {
    const element = made("article", "pair");
    const margin = pair.m === null ? "" : " · " + say("margin") + " " + Math.round(pair.m * 100) / 100;
    element.append(made("p", "faint", pair.id + margin));
    const prompt = made("div", "text", pair.p);
    prompt.dir = "auto";
    const sides = made("div", "sides");
    if (pair.r) sides.append(side("chosen", "chosen", pair.c), side("rejected", "rejected", pair.r));
    else if (pair.a) {
      for (const one of pair.a) sides.append(side("response", "", one));
      for (const one of pair.w) sides.append(side("no pair", "", one));
    } else if (pair.c) sides.append(side("response", "", pair.c));
    element.append(prompt);
    if (sides.hasChildNodes()) element.append(sides);
    return element;
  };

  const said = (one) => !one ? "" : one.text.join("") + "\n" + one.words.map((word) => word[3]).join("\n");
  const haystacks = data.pairs.map((pair) => [pair.id, pair.p, said(pair.c), said(pair.r)].join("\n").toLowerCase());

  const by = (pair) => (pair.c ? pair.c.by : "");

  const more = () => {
    for (const place of shown.slice(until, until + PAGE)) at("list").append(drawn(data.pairs[place]));
    until = Math.min(until + PAGE, shown.length);
    at("more").hidden = until >= shown.length;
  };

  const search = () => {
    const words = at("words").value.toLowerCase().split(/\s+/).filter(Boolean);
    const model = at("model").value;
    const order = at("order").value;
    shown = data.pairs.map((_, place) => place).filter(
      (place) => (!model || by(data.pairs[place]) === model) && words.every((word) => haystacks[place].includes(word)),
    );
    const margin = (place) => (data.pairs[place].m === null ? -1 : data.pairs[place].m);
    if (order) shown.sort((one, other) => (order === "wide" ? margin(other) - margin(one) : margin(one) - margin(other)));
    at("found").textContent = shown.length + " / " + data.pairs.length;
    at("list").replaceChildren();
    until = 0;
    more();
  };

  for (const model of [...new Set(data.pairs.map(by).filter(Boolean))].sort()) at("model").append(new Option(at("model").dataset.prefix + model, model));
  const marking = () => at("list").classList.toggle("marking", at("differ").checked);
  at("asked").addEventListener("submit", (event) => event.preventDefault());
  at("words").addEventListener("input", search);
  at("model").addEventListener("change", search);
  at("order").addEventListener("change", search);
  at("differ").addEventListener("change", marking);
  at("more").addEventListener("click", more);

  for (const [name, texts] of Object.entries(data.map)) {
    const group = at(name);
    if (!group) continue;
    const dots = [...group.querySelectorAll("use")];
    const tell = (event) => {
      const place = dots.indexOf(event.target.closest("use"));
      if (place >= 0) at("point").textContent = texts[place];
    };
    group.addEventListener("pointerover", tell);
    group.addEventListener("click", tell);
  }

  const themes = ["", "dark", "light"];
  at("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const next = themes[(themes.indexOf(root.dataset.theme || "") + 1) % themes.length];
    if (next) root.dataset.theme = next;
    else delete root.dataset.theme;
  });
  marking();
  search();
})();
