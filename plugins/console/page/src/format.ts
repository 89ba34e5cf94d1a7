// Figures as people read them.
export function bytes(number: number): string {
  const units = ["B", "K", "M", "G", "T"];
  let at = 0;
  while (number >= 1024 && at < units.length - 1) {
    number /= 1024;
    ++at;
  }
  return `${number.toFixed(at > 0 && number < 100 ? 1 : 0)} ${units[at]}`;
}

export const percent = (number: number): string => `${number.toFixed(1)} %`;

export function age(seconds: number): string {
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

export const clock = (seconds: number): string => new Date(seconds * 1000).toLocaleTimeString([], { hour12: false });

export const figure = (number: number | null | undefined): string => (number == null ? "–" : String(number));
