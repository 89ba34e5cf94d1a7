// Components that are rendered again only when what they were given has changed.
import { type ComponentChild, type FunctionComponent, type Component } from "preact";

/** Whether two values of one JSON are the same, one level deep. */
export function same(a: object, b: object): boolean {
  const keys = Object.keys(a) as (keyof typeof a)[];
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}

/** Whether two lists are the same in these of their rows' fields. */
export function alike<T>(a: T[], b: T[], keys: (keyof T)[]): boolean {
  return a.length === b.length && a.every((each, at) => keys.every((key) => each[key] === b[at]![key]));
}

export function memo<P extends object>(
  render: (props: P) => ComponentChild,
  isSame: (before: P, next: P) => boolean = same,
): FunctionComponent<P> {
  const Render = render as FunctionComponent<P>;
  return function (this: Component<P>, props: P) {
    this.shouldComponentUpdate = (next) => !isSame(this.props, next);
    return <Render {...props} />;
  } as FunctionComponent<P>;
}
