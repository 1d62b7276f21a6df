"use strict";
(() => {
  // a tip stands below its word, inside its section, so that it never widens the page
  const place = (term) => {
    const tip = term.querySelector(".tip");
    const frame = tip.offsetParent || document.body;
    const word = term.getBoundingClientRect();
    const room = frame.getBoundingClientRect();
    const left = Math.max(0, Math.min(word.left - room.left, room.width - tip.offsetWidth));
    tip.style.left = `${left}px`;
    tip.style.top = `${word.bottom - room.top + 4}px`;
  };
  for (const term of document.querySelectorAll(".term")) {
    term.addEventListener("pointerenter", () => { term.classList.remove("away"); place(term); });
    term.addEventListener("focusin", () => { term.classList.remove("away"); place(term); });
  }
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const term of document.querySelectorAll(".term:hover, .term:focus-within")) term.classList.add("away");
  });

  // what is folded away is printed too
  addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll("details:not([open])")) { fold.open = true; fold.dataset.shut = ""; }
  });
  addEventListener("afterprint", () => {
    for (const fold of document.querySelectorAll("details[data-shut]")) { fold.open = false; delete fold.dataset.shut; }
  });

  // what draws is large: it comes packed, and is unpacked when a chart comes near
  const unpack = async () => {
    const packed = atob(document.getElementById("packed-vega").textContent);
    const bytes = Uint8Array.from(packed, (letter) => letter.charCodeAt(0));
    const text = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(text).text();
    document.head.append(script);
  };
  let unpacked;

  const draw = async (figure) => {
    const specification = JSON.parse(figure.querySelector(".specification").textContent);
    const live = figure.querySelector(".live");
    specification.width = "container";
    specification.autosize = { type: "fit-x", contains: "padding" };
    try {
      await (unpacked ??= unpack());
      live.hidden = false;
      figure.classList.add("drawn");
      await vegaEmbed(live, specification, {
        ast: true, renderer: "svg",
        actions: { export: true, source: false, compiled: false, editor: false },
        downloadFileName: figure.id, i18n: { CLICK_TO_VIEW_ACTIONS: "Save this picture" },
      });
    } catch (error) {
      live.hidden = true;
      figure.classList.remove("drawn");
      console.error(error);
    }
  };
  const near = new IntersectionObserver((seen) => {
    for (const each of seen) {
      if (!each.isIntersecting) continue;
      near.unobserve(each.target);
      draw(each.target);
    }
  }, { rootMargin: "300px" });
  addEventListener("load", () => setTimeout(() => {
    for (const figure of document.querySelectorAll("figure.chart")) near.observe(figure);
  }));
})();
