// @ts-check
/** Sums, medians, and numbers formatted for readers. */

/** @param {number[]} values */
export function median(values) {
  return quantile(values, 0.5);
}

/** @param {number[]} values @param {number} share from 0 to 1 */
export function quantile(values, share) {
  if (values.length === 0) {
    throw new Error("no samples");
  }
  const sorted = [...values].sort((a, b) => a - b);
  const place = (sorted.length - 1) * share;
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
}

/** Formats three significant digits, without an exponent. @param {number} value */
export function short(value) {
  if (value === 0 || !Number.isFinite(value)) {
    return String(value);
  }
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 4));
}

/** @param {number} bytes */
export function size(bytes) {
  return bytes >= 1 << 20 ? `${bytes / (1 << 20)} MB` : `${bytes / 1024} KB`;
}

/**
 * Returns how much `y` grows with `x`: the slope of the least-squares line. Each point has the weight 1 / x, so that
 * the largest points do not decide alone.
 *
 * @param {{ x: number, y: number }[]} points
 */
export function slope(points) {
  const weights = points.map(({ x }) => 1 / x);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  /** @param {(point: { x: number, y: number }) => number} value */
  const mean = (value) => points.reduce((sum, point, n) => sum + weights[n] * value(point), 0) / total;
  const [x, y] = [mean((point) => point.x), mean((point) => point.y)];
  return mean((point) => (point.x - x) * (point.y - y)) / mean((point) => (point.x - x) ** 2);
}
