// Draws every figure of the page in the colours of the reader's screen, and again when those change or paper is asked for.
"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);

  function template() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const [paper, ink, line, card] = ["--paper", "--ink", "--line", "--card"].map(colour);
    const axis = { gridcolor: line, linecolor: line, zerolinecolor: line, automargin: true, exponentformat: "SI" };
    return {
      layout: {
        font: { color: ink, family: "system-ui, sans-serif", size: 13 },
        paper_bgcolor: paper,
        plot_bgcolor: paper,
        xaxis: axis,
        yaxis: axis,
        hoverlabel: { bgcolor: card, bordercolor: line, font: { color: ink } },
        updatemenudefaults: { bgcolor: card, bordercolor: line, font: { color: ink } },
        modebar: { bgcolor: "rgba(0,0,0,0)", color: line, activecolor: ink },
      },
    };
  }

  function draw() {
    const look = template();
    for (const [id, stored] of Object.entries(figures)) {
      // A copy, because plotly writes into what it is given.
      const figure = structuredClone(stored);
      const layout = { ...figure.layout, template: look };
      Plotly.react(id, figure.data, layout, { responsive: true, displaylogo: false });
      Plotly.Plots.resize(id);
    }
  }

  draw();
  for (const query of ["(prefers-color-scheme: dark)", "print"]) {
    matchMedia(query).addEventListener("change", draw);
  }
})();
