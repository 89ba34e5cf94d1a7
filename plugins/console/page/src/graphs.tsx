// Graphs: a sparkline for rows, drawn by hand because there may be hundreds, and a chart by uPlot for pages; and texts that
// change as graphs do. All of them are drawn by screen.ts.
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { history } from "./history";
import { memo } from "./memo";
import { drawnBy, redrawSoon } from "./screen";

const scheme = matchMedia("(prefers-color-scheme: dark)");
scheme.addEventListener("change", redrawSoon);

// The style sheet's, as of the scheme: asking for one each time would compute styles hundreds of times a second.
const colours = new Map<string, string>();
scheme.addEventListener("change", () => colours.clear());
function colour(name: string): string {
  let found = colours.get(name);
  if (!found) {
    found = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    colours.set(name, found);
  }
  return found;
}

/** A text that is asked for whenever it is drawn (null: it stays as it was), the one that is given when it is first there. */
export const Figure = memo<{ text: () => string | null }>(
  ({ text }) => {
    const place = useRef<HTMLSpanElement>(null);
    useEffect(() => {
      const shown = place.current!.firstChild as Text;
      return drawnBy(place.current!, () => {
        const now = text();
        if (now !== null && now !== shown.data) shown.data = now;
      });
    }, []);
    return <span ref={place}>{text() ?? "–"}</span>;
  },
  () => true,
);

const kSparkWidth = 110;
const kSparkHeight = 24;
const kSparkPoints = 60;

function drawSpark(canvas: HTMLCanvasElement, values: (number | null)[]): void {
  const context = canvas.getContext("2d");
  if (!context) return;
  const scale = devicePixelRatio || 1;
  if (canvas.width !== kSparkWidth * scale) {
    canvas.width = kSparkWidth * scale;
    canvas.height = kSparkHeight * scale;
  }
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, kSparkWidth, kSparkHeight);
  const shown = values.slice(-kSparkPoints);
  let most = 1;
  for (const each of shown) most = Math.max(most, each ?? 0);
  context.strokeStyle = colour("--accent");
  context.lineWidth = 1.5;
  context.lineJoin = "round";
  context.beginPath();
  shown.forEach((each, at) => {
    const x = kSparkWidth - 2 - (shown.length - 1 - at) * ((kSparkWidth - 4) / (kSparkPoints - 1));
    const y = kSparkHeight - 2 - ((each ?? 0) / most) * (kSparkHeight - 4);
    if (at === 0) context.moveTo(x, y);
    else context.lineTo(x, y);
  });
  context.stroke();
}

/** Of what the history has by that name. */
export function Sparkline({ of, label }: { of: string; label: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const mine = canvas.current!; // which goes before the effect is taken back
    return drawnBy(mine, () => drawSpark(mine, history.of(of)));
  }, [of]);
  return <canvas ref={canvas} class="spark" role="img" aria-label={label} />;
}

export interface Line {
  label: string;
  colour: string; // a custom property of the style sheet
}

interface ChartProps {
  lines: Line[];
  label: string;
  /** Times, and for each line as many values. Asked for when it is drawn. */
  data: () => [number[], ...(number | null)[][]];
  height?: number;
  format?: (number: number) => string;
  steps?: boolean;
}

function makePlot(element: HTMLElement, { lines, height = 130, format, steps }: ChartProps): uPlot {
  const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
  const stepped = steps ? { paths: uPlot.paths.stepped!({ align: 1 }) } : {};
  return new uPlot(
    {
      width: Math.max(120, element.clientWidth),
      height,
      cursor: { show: false },
      legend: { show: false },
      scales: { y: { range: (_, __, most) => [0, Math.max(1, (most ?? 0) * 1.1)] } },
      axes: [
        { ...axis, size: 26, space: 90, values: [[1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1]] },
        { ...axis, size: 56, space: 28, values: (_, ticks) => ticks.map((each) => (format ? format(each) : String(each))) },
      ],
      series: [
        {},
        ...lines.map((each) => ({ label: each.label, stroke: colour(each.colour), width: 1.5, points: { show: false }, ...stepped })),
      ],
    },
    [[], ...lines.map(() => [])],
    element,
  );
}

/** All lines have one axis. It is made when it comes on the screen first, in a place that has its height before. */
export function Chart(props: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const latest = useRef(props);
  latest.current = props;
  const { lines, label, height = 130 } = props;
  const names = lines.map((each) => each.label).join();

  useEffect(() => {
    const element = place.current!;
    let plot: uPlot | null = null;
    const draw = () => {
      plot ??= makePlot(element, latest.current);
      plot.setData(latest.current.data() as uPlot.AlignedData);
    };
    const forget = drawnBy(element, draw);
    const resized = new ResizeObserver(() => plot?.setSize({ width: Math.max(120, element.clientWidth), height }));
    resized.observe(element);
    const changed = () => {
      plot?.destroy();
      plot = null; // made again in the other colours, by the drawing that the change brings
    };
    scheme.addEventListener("change", changed);
    return () => {
      forget();
      resized.disconnect();
      scheme.removeEventListener("change", changed);
      plot?.destroy();
    };
  }, [names, height]);

  return (
    <figure class="chart" role="img" aria-label={label}>
      <div ref={place} style={{ height: `${height}px` }} />
      {lines.length > 1 && (
        <figcaption aria-hidden="true">
          {lines.map((each) => (
            <span key={each.label} class="key">
              <i style={{ background: `var(${each.colour})` }} /> {each.label}
            </span>
          ))}
        </figcaption>
      )}
    </figure>
  );
}

/** What the history has by these names, each as long as its times. */
export function recent(names: string[]): [number[], ...(number | null)[][]] {
  const { times } = history;
  return [times, ...names.map((each) => padded(history.of(each), times.length))];
}

function padded(values: (number | null)[], length: number): (number | null)[] {
  if (values.length === length) return values;
  return values.length > length
    ? values.slice(-length)
    : [...new Array<null>(length - values.length).fill(null), ...values];
}
