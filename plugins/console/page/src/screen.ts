// What is on the screen is drawn with each round of figures, past the page's own rendering, which would look at all there
// is; what is not costs nothing until it comes there. Nothing is drawn while the page is hidden.
import { history } from "./history";

type Draw = () => void;

// By what is looked for on the screen: a row of a table, a card, or a graph that is in neither.
const drawers = new WeakMap<Element, Set<Draw>>();
const onScreen = new Set<Element>();
const observer = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) onScreen.add(target);
      else onScreen.delete(target);
      if (isIntersecting) draw(target);
    }
  },
  { rootMargin: "100px" },
);
let due = false;

function draw(whole: Element): void {
  drawers.get(whole)?.forEach((each) => each());
}

// Once a frame.
export function redrawSoon(): void {
  if (due) return;
  due = true;
  requestAnimationFrame(() => {
    due = false;
    onScreen.forEach(draw);
  });
}

history.listen(redrawSoon);

/** `draw` is called when the row or card that `element` is a part of comes on the screen, and while it is there. What is
 * returned takes that back. */
export function drawnBy(element: Element, draw: Draw): () => void {
  const whole = element.closest("tr, .card") ?? element;
  const own = drawers.get(whole) ?? new Set<Draw>();
  drawers.set(whole, own.add(draw));
  if (onScreen.has(whole)) draw();
  else observer.observe(whole);
  return () => {
    own.delete(draw);
    if (own.size > 0) return;
    observer.unobserve(whole);
    onScreen.delete(whole);
    drawers.delete(whole);
  };
}
