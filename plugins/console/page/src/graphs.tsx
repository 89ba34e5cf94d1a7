// Graphs: a sparkline for rows, drawn by hand because there may be hundreds, and a chart by uPlot for pages.
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

const kSparkWidth = 110;
const kSparkHeight = 24;

export function Sparkline({ values, label }: { values: (number | null)[]; label: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    const scale = devicePixelRatio || 1;
    canvas.current!.width = kSparkWidth * scale;
    canvas.current!.height = kSparkHeight * scale;
    context.scale(scale, scale);
    const shown = values.slice(-60);
    const most = Math.max(1, ...shown.map((each) => each ?? 0));
    context.strokeStyle = colour("--accent");
    context.lineWidth = 1.5;
    context.beginPath();
    shown.forEach((each, at) => {
      const x = kSparkWidth - (shown.length - 1 - at) * (kSparkWidth / 59);
      const y = kSparkHeight - 2 - ((each ?? 0) / most) * (kSparkHeight - 4);
      if (at === 0) context.moveTo(x, y);
      else context.lineTo(x, y);
    });
    context.stroke();
  });
  return <canvas ref={canvas} class="spark" role="img" aria-label={label} />;
}

export interface Line {
  label: string;
  values: (number | null)[];
  colour: string; // a custom property of the style sheet
}

// Of the same times; all lines have one axis.
export function Chart({ times, lines, label, height = 130, format }: {
  times: number[];
  lines: Line[];
  label: string;
  height?: number;
  format?: (number: number) => string;
}) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const names = lines.map((each) => each.label).join();

  useEffect(() => {
    const element = place.current!;
    const make = () => {
      plot.current?.destroy();
      const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
      plot.current = new uPlot(
        {
          width: Math.max(120, element.clientWidth),
          height,
          cursor: { show: false },
          legend: { show: lines.length > 1, live: false },
          scales: { y: { range: (_, __, most) => [0, Math.max(1, (most ?? 0) * 1.1)] } },
          axes: [
            axis,
            { ...axis, size: 60, values: (_, ticks) => ticks.map((each) => (format ? format(each) : String(each))) },
          ],
          series: [{}, ...lines.map((each) => ({ label: each.label, stroke: colour(each.colour), width: 1.5, points: { show: false } }))],
        },
        [[], ...lines.map(() => [])],
        element,
      );
    };
    make();
    const resized = new ResizeObserver(() =>
      plot.current?.setSize({ width: Math.max(120, element.clientWidth), height }),
    );
    resized.observe(element);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", make);
    return () => {
      resized.disconnect();
      scheme.removeEventListener("change", make);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [names, height]);

  useEffect(() => {
    const data = lines.map((each) => each.values.slice(-times.length));
    if (data.every((each) => each.length === times.length))
      plot.current?.setData([times, ...data] as uPlot.AlignedData);
  });
  return <div class="chart" ref={place} role="img" aria-label={label} style={{ minHeight: height }} />;
}
