/** Where points of a curve lie in a square of 100 by 100, y downwards. */

/** Unix time in seconds, and a value. Ascending in time. */
export type Point = readonly [time: number, value: number]

export interface Scale {
  x: (time: number) => number
  y: (value: number) => number
  /** Of the whole width, from 0 to 1. */
  timeAt: (part: number) => number
}

export interface Extremes {
  first: Point
  last: Point
  low: Point
  high: Point
}

/** Null if there is nothing to draw. */
export function extremesOf(points: readonly Point[]): Extremes | null {
  const [first] = points
  const last = points.at(-1)
  if (first === undefined || last === undefined) return null
  let [low, high] = [first, first]
  for (const point of points) {
    if (point[1] < low[1]) low = point
    if (point[1] > high[1]) high = point
  }
  return { first, last, low, high }
}

export function scaleOf({ first, last, low, high }: Extremes): Scale {
  const seconds = last[0] - first[0] || 1
  const height = high[1] - low[1] || 1
  return {
    x: (time) => ((time - first[0]) / seconds) * 100,
    y: (value) => ((high[1] - value) / height) * 100,
    timeAt: (part) => first[0] + part * seconds,
  }
}

/** An SVG path with one node for each point. */
export function pathOf(points: readonly Point[], { x, y }: Scale): string {
  const nodes = points.map(([time, value]) => `${x(time).toFixed(3)} ${y(value).toFixed(3)}`)
  return nodes.length === 0 ? '' : `M${nodes.join('L')}`
}

/** Two to five round values from low to high. */
export function roundValues(low: number, high: number): number[] {
  const rough = (high - low) / 3
  if (!(rough > 0)) return [low]
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough) ?? rough
  const values: number[] = []
  for (let at = Math.ceil(low / step); at * step <= high; at++) values.push(at * step)
  return values
}

/** Place of the point nearest to the time. */
export function nearest(points: readonly Point[], time: number): number {
  let [from, to] = [0, points.length - 1]
  while (to - from > 1) {
    const middle = (from + to) >> 1
    if ((points[middle]?.[0] ?? 0) <= time) from = middle
    else to = middle
  }
  const away = (at: number) => Math.abs((points[at]?.[0] ?? Infinity) - time)
  return away(to) < away(from) ? to : from
}
