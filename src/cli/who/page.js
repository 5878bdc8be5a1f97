(() => {
  const body = document.body;
  const parts = [...document.querySelectorAll("[data-rows]")];
  const rows = [...document.querySelectorAll("tbody tr[id]")];
  let kept = null;
  const numbers = (part) => part.dataset.rows.split(" ");
  const light = (wanted) => {
    body.classList.toggle("lit", wanted !== null);
    const on = new Set(wanted || []);
    parts.forEach((part) => part.classList.toggle("on", numbers(part).some((row) => on.has(row))));
    rows.forEach((row) => row.classList.toggle("on", on.has(row.id.slice(1))));
  };
  const listen = (element, wanted) => {
    element.addEventListener("mouseenter", () => kept || light(wanted));
    element.addEventListener("mouseleave", () => kept || light(null));
    element.addEventListener("focus", () => kept || light(wanted));
    element.addEventListener("blur", () => kept || light(null));
    const keep = (event) => {
      kept = kept === element ? null : element;
      light(kept ? wanted : null);
      event.stopPropagation();
    };
    element.addEventListener("click", keep);
    element.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); keep(event); }
    });
  };
  parts.filter((part) => part.tagName === "g").forEach((part) => listen(part, numbers(part)));
  rows.forEach((row) => listen(row, [row.id.slice(1)]));
  const clear = () => { kept = null; light(null); };
  document.addEventListener("click", clear);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") clear(); });
  document.querySelectorAll(".sum button").forEach((button) => button.addEventListener("click", (event) => {
    event.stopPropagation();
    const shown = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(shown));
    document.querySelectorAll(`[data-exposure="${button.dataset.of}"]`).forEach((part) => { part.toggleAttribute("hidden", !shown); part.style.display = shown ? "" : "none"; });
  }));
})();
