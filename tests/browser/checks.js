// What is wrong with the page as a person sees it; run in the page, as one expression.
(() => {
  const wrong = [];
  const rgb = (text) => (text.match(/[\d.]+/g) ?? []).map(Number);
  const luminance = ([r, g, b]) =>
    [r, g, b]
      .map((each) => each / 255)
      .map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4))
      .reduce((sum, each, at) => sum + each * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((each) => each.nodeType === 3 && each.textContent.trim());
    if (!own || element.closest(":disabled, .hidden, .skip") || !element.checkVisibility()) continue;
    const [bright, dark] = [luminance(rgb(getComputedStyle(element).color)), luminance(behind(element))].sort((a, b) => b - a);
    const contrast = (bright + 0.05) / (dark + 0.05);
    // WCAG 2 AA.
    if (contrast < 4.5) wrong.push(`contrast ${contrast.toFixed(2)}: ${element.textContent.trim().slice(0, 40)}`);
  }
  for (const element of document.querySelectorAll("button, a[href], input, select")) {
    const box = element.getBoundingClientRect();
    if (box.width > 0 && box.height > 0 && box.height < 18) wrong.push(`only ${box.height} px high: ${element.outerHTML.slice(0, 60)}`);
  }
  const ids = [...document.querySelectorAll("[id]")].map((each) => each.id);
  for (const id of ids.filter((each, at) => ids.indexOf(each) !== at)) wrong.push(`two elements are #${id}`);
  for (const element of document.querySelectorAll("[aria-labelledby]"))
    if (!document.getElementById(element.getAttribute("aria-labelledby"))) wrong.push(`no ${element.getAttribute("aria-labelledby")}`);
  if (document.documentElement.scrollWidth > innerWidth) wrong.push(`${document.documentElement.scrollWidth} px wide, of ${innerWidth}`);
  if (!document.title || !document.documentElement.lang) wrong.push("no title, or no language");
  return wrong;
})()
