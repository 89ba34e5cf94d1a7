// What a page reads beside what is pushed to it.
import { useEffect, useState } from "preact/hooks";
import { get } from "./api";
import { useStore } from "./store";

export interface Read<T> {
  value: T | null; // null: not yet, or there is none
  settled: boolean; // whether the first answer, or error, has come
}

/** What GET says at `path`, below /api/v1: again when `turn` changes or the connection comes back, and every so many
 * milliseconds. What was read stays while a later attempt fails. Null: nothing is read. */
export function useRead<T>(path: string | null, turn: unknown = 0, every = 0): Read<T> {
  const [found, setFound] = useState<{ of: string | null; value: T | null }>({ of: null, value: null });
  const { online } = useStore("online");
  useEffect(() => {
    if (path === null || !online) return;
    let over = false;
    let timer: ReturnType<typeof setTimeout>;
    const look = async () => {
      const value = await get<T>(path).catch(() => null);
      if (over) return;
      setFound((before) => ({ of: path, value: value ?? (before.of === path ? before.value : null) }));
      if (every > 0) timer = setTimeout(() => void look(), every);
    };
    void look();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [path, turn, every, online]);
  return { value: found.of === path ? found.value : null, settled: path === null || found.of === path };
}
