// Where the keyboard goes on from when what it was in has gone.
import { useEffect, useRef } from "preact/hooks";

/** The ref of the button that opens something: it is focused again when that is closed. */
export function useFocusAfter(open: boolean) {
  const button = useRef<HTMLButtonElement>(null);
  const was = useRef(false);
  useEffect(() => {
    if (was.current && !open) button.current?.focus();
    was.current = open;
  }, [open]);
  return button;
}

/** The ref of what the keyboard goes on in as soon as it is there: `autofocus` does that once a page. */
export function focusAtOnce(element: HTMLElement | null) {
  element?.focus();
}
