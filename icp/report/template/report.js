"use strict";
// The page's script: the viewer of windows, the pairs of duplicates, the map. Texts are put in by textContent alone.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const windows = data.windows;
  const place = new Map(windows.map((one, at) => [one.window, at]));
  const colours = 8;
  let at = 0;
  let wanted = "";
  let hits = null;

  const make = (tag, kind, ...inside) => {
    const found = document.createElement(tag);
    if (kind) found.className = kind;
    found.append(...inside.filter((one) => one !== null && one !== undefined && one !== ""));
    return found;
  };
  const number = (value) => value.toLocaleString("en-US");

  // What would turn a text round or stay unseen is shown by its code.
  const ODD = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u202a-\u202e\u2028\u2029\u2060-\u2069\ufeff]/g;
  const shown = (text, search) => {
    const found = document.createDocumentFragment();
    const plain = (part) => {
      if (!search) return found.append(part);
      const low = part.toLowerCase();
      let from = 0;
      for (let hit = low.indexOf(search); hit >= 0; hit = low.indexOf(search, from)) {
        found.append(part.slice(from, hit), make("mark", "", part.slice(hit, hit + search.length)));
        from = hit + search.length;
      }
      found.append(part.slice(from));
    };
    let from = 0;
    for (const odd of text.matchAll(ODD)) {
      plain(text.slice(from, odd.index));
      found.append(make("span", "odd", "\\u" + odd[0].charCodeAt(0).toString(16).padStart(4, "0")));
      from = odd.index + 1;
    }
    plain(text.slice(from));
    return found;
  };
  const isolated = (text, kind) => make("bdi", kind || "", shown(text));
  const name = (doc) => data.docs[doc] || ["doc " + doc, "", ""];

  const goTo = (window_) => {
    const found = make("button", "go", String(window_));
    found.type = "button";
    if (place.has(window_)) found.addEventListener("click", () => show(place.get(window_)));
    else {
      found.disabled = true;
      found.style.textDecoration = "none";
      found.title = "not among the windows shown; icp inspect RUN --window " + window_;
    }
    return found;
  };
  const listed = (label, numbers) => {
    const found = make("span", "wins", label);
    numbers.forEach((one, k) => found.append(k ? ", " : " ", goTo(one)));
    return found;
  };

  const pieceOf = (piece, k, colour) => {
    const [id, source, title] = name(piece.doc);
    const dot = make("span", "dot");
    dot.style.background = colour;
    const whole = piece.of === null || piece.to - piece.from >= piece.of;
    const about = make("div", "about", isolated(id, "mono"));
    if (source) about.append(isolated(source));
    about.append(make("span", "", `tokens ${number(piece.from)} to ${number(piece.to)}` + (whole ? ", whole" : ` of ${number(piece.of)}`)));
    if (piece.previous !== null) about.append(make("span", "", "similarity to the document before ", make("b", "", piece.previous.toFixed(3))));
    if (piece.window !== null) about.append(make("span", "", "to the rest of the window ", make("b", "", piece.window.toFixed(3))));
    const found = make("article", "piece", make("h4", "", dot, isolated(title || "(begins without text)")), about);
    found.id = "piece-" + k;
    if (piece.again) found.append(make("div", "about cut", "repeated here to fill the window (pack.tail)"));
    else if (piece.rest.length) {
      const rest = make("div", "about cut", "This document is cut:");
      piece.rest.forEach(([window_, from, to]) => rest.append(make("span", "",
        `its ${from < piece.from ? "earlier" : "later"} tokens ${number(from)} to ${number(to)} stand in window `, goTo(window_))));
      found.append(rest);
    }
    const text = make("div", "text", shown(piece.text, wanted));
    text.dir = "auto";
    text.tabIndex = 0;
    if (piece.more) text.append(make("span", "cut", ` \u2026 [${number(piece.more)} more characters are left out of this report]`));
    found.append(text);
    if (piece.near.length) {
      const list = make("ul", "near");
      for (const [doc, similarity, where] of piece.near) {
        const other = name(doc);
        list.append(make("li", "", make("span", "", similarity.toFixed(3)), isolated(other[2] || other[0]),
          where.length ? listed("window", where) : make("span", "wins", "no window")));
      }
      found.append(make("details", "", make("summary", "", "Nearest documents, and where they stand"), list));
    }
    return found;
  };

  const show = (next, keep) => {
    if (!windows.length) return;
    at = (next + windows.length) % windows.length;
    const one = windows[at];
    const seen = new Map();
    one.pieces.forEach((piece) => seen.has(piece.doc) || seen.set(piece.doc, `var(--c${seen.size % colours})`));
    const top = make("div", "top", make("b", "", `Window ${number(one.window)}`),
      make("span", "", `${seen.size} ${seen.size === 1 ? "document" : "documents"}`),
      make("span", "", "mean similarity ", make("b", "", one.mean.toFixed(3))),
      make("span", "", `most alike pair ${one.largest.toFixed(3)}`),
      make("span", "", one.padding ? `${number(one.padding)} tokens of padding` : "no padding"),
      make("span", "mono", one.shard));
    const strip = make("div", "strip");
    const total = one.padding + one.pieces.reduce((sum, piece) => sum + piece.to - piece.from, 0);
    one.pieces.forEach((piece, k) => {
      const part = make("a");
      part.href = "#piece-" + k;
      part.title = name(piece.doc)[2];
      part.style.width = (100 * (piece.to - piece.from)) / total + "%";
      part.style.background = seen.get(piece.doc);
      strip.append(part);
    });
    const body = make("div", "window", top, strip);
    one.pieces.forEach((piece, k) => body.append(pieceOf(piece, k, seen.get(piece.doc))));
    byId("viewer").replaceChildren(body);
    byId("pick").value = String(at);
    ring(one);
    if (!keep) history.replaceState(null, "", "#window=" + one.window);
  };

  const search = (text) => {
    wanted = text.trim().toLowerCase();
    hits = null;
    if (wanted) {
      hits = [];
      windows.forEach((one, k) => {
        const inside = String(one.window) === wanted || one.pieces.some((piece) => piece.text.toLowerCase().includes(wanted) ||
          name(piece.doc).some((part) => part.toLowerCase().includes(wanted)));
        if (inside) hits.push(k);
      });
    }
    byId("found").textContent = hits ? `${hits.length} of ${windows.length} windows` : "";
    if (!hits || hits.length) show(hits ? hits[0] : at);
  };
  const step = (by) => {
    if (!hits || !hits.length) return show(at + by);
    const k = hits.indexOf(at);
    return show(hits[(k + by + hits.length) % hits.length]);
  };
  const best = (sign) => {
    let chosen = 0;
    windows.forEach((one, k) => {
      if (sign * one.mean > sign * windows[chosen].mean && one.pieces.length > 1) chosen = k;
    });
    const order = windows.map((one, k) => k).filter((k) => windows[k].pieces.length > 1).sort((a, b) => sign * (windows[b].mean - windows[a].mean));
    const now = order.indexOf(at);
    show(now >= 0 && now < 30 && now + 1 < order.length ? order[now + 1] : order[0] ?? chosen);
  };
  const actions = {
    previous: () => step(-1), next: () => step(1), most: () => best(1), least: () => best(-1),
    random: () => show(Math.floor(Math.random() * windows.length)),
  };

  // Colours: what the reader chose is kept while the page is open; else what the system says.
  const isDark = () => (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const turn = () => { document.documentElement.dataset.theme = isDark() ? "light" : "dark"; };
  byId("theme").addEventListener("click", turn);

  // The map: its points are the marks of the picture, in the order of data.map.docs.
  const points = [...document.querySelectorAll("#map svg .mark-symbol.role-mark path")];
  const rings = new Map(data.map.docs.map((doc, k) => [doc, points[k]]));
  let ringed = [];
  const ring = (one) => {
    ringed.forEach((point) => point.classList.remove("on"));
    ringed = one.pieces.map((piece) => rings.get(piece.doc)).filter(Boolean);
    ringed.forEach((point) => { point.classList.add("on"); point.parentNode.append(point); });
  };
  if (points.length) {
    const rank = new Map(points.map((point, k) => [point, k]));
    const tip = byId("tip");
    byId("map").addEventListener("pointermove", (event) => {
      const k = rank.get(event.target);
      tip.hidden = k === undefined;
      if (k === undefined) return;
      const doc = data.map.docs[k];
      const [id, source, title] = name(doc);
      tip.replaceChildren(isolated(title || id), make("div", "", source ? isolated(source) : null, data.map.windows[k] >= 0 ? ` window ${number(data.map.windows[k])}` : ""));
      const box = byId("map").getBoundingClientRect();
      tip.style.left = Math.min(event.clientX - box.left + 12, box.width - 200) + "px";
      tip.style.top = event.clientY - box.top + 14 + "px";
    });
    byId("map").addEventListener("pointerleave", () => { tip.hidden = true; });
    byId("map").addEventListener("click", (event) => {
      const k = rank.get(event.target);
      if (k !== undefined && place.has(data.map.windows[k])) {
        show(place.get(data.map.windows[k]));
        byId("windows").scrollIntoView();
      }
    });
  }

  // Pairs of duplicates.
  let pair = 0;
  const side = (one, k, mark) => {
    const text = make("div", "text");
    text.dir = "auto";
    for (const [kind, words] of one.parts) {
      if (kind === "=") text.append(shown(words + " "));
      else if (kind === mark) text.append(make(mark === "-" ? "del" : "ins", "", shown(words)), " ");
    }
    if (one.cut) text.append(make("span", "cut", " \u2026 [only the beginnings are compared]"));
    return make("div", "", make("h3", "", k ? "kept " : "removed ", isolated(one.ids[k], "mono")),
      make("div", "about", one.sources[k] ? isolated(one.sources[k]) : null, make("span", "", `${number(one.chars[k])} characters`)), text);
  };
  const compare = (next) => {
    pair = (next + data.copies.length) % data.copies.length;
    const one = data.copies[pair];
    byId("copy-at").textContent = `${pair + 1} of ${data.copies.length}: ${one.kind}` + (one.jaccard === null ? "" : `, Jaccard ${one.jaccard.toFixed(3)}`);
    byId("copy").replaceChildren(make("div", "pair", make("div", "sides", side(one, 0, "-"), side(one, 1, "+"))));
  };
  if (data.copies.length) {
    document.querySelectorAll("[data-copy]").forEach((button) => button.addEventListener("click", () => compare(pair + Number(button.dataset.copy))));
    compare(0);
  }

  if (windows.length) {
    const pick = byId("pick");
    windows.forEach((one, k) => pick.append(new Option(`${number(one.window)}  \u00b7  ${one.mean.toFixed(3)}`, String(k))));
    pick.addEventListener("change", () => show(Number(pick.value)));
    document.querySelectorAll("[data-do]").forEach((button) => button.addEventListener("click", () => actions[button.dataset.do]()));
    let waiting = 0;
    byId("search").addEventListener("input", (event) => { clearTimeout(waiting); waiting = setTimeout(() => search(event.target.value), 150); });
    const asked = /^#window=(\d+)$/.exec(location.hash);
    show(asked && place.has(Number(asked[1])) ? place.get(Number(asked[1])) : 0, true);
  }
  const keys = { j: "next", ArrowRight: "next", k: "previous", ArrowLeft: "previous", r: "random", m: "most", l: "least" };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.key === "d") turn();
    else if (event.key === "/" && windows.length) { event.preventDefault(); byId("search").focus(); }
    else if (keys[event.key] && windows.length) { event.preventDefault(); actions[keys[event.key]](); }
  });
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
})();
