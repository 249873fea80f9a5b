import Box from '@mui/material/Box'
import Typography from '@mui/material/Typography'
import { useMemo, type PointerEvent } from 'react'
import { HIDDEN } from '../../components/theme'
import { moment } from '../format'
import { useLocale } from '../../i18n'
import { extremesOf, nearest, pathOf, roundValues, scaleOf, type Extremes, type Point } from './geometry'

/** Room for the values at the right. */
export const AXIS_PX = 52

interface LineChartProps {
  label: string
  points: readonly Point[]
  isDaily: boolean
  /** A value as it is read. */
  write: (value: number) => string
  /** A value at the axis, where there is little room. */
  writeShort: (value: number) => string
  /** Of the theme. */
  colour: 'primary.main' | 'error.main'
  heightPx: number
  /** Where the crosshair stands, of all charts that share it; null: nowhere. */
  time: number | null
  onTime: (time: number | null) => void
}

/**
 * A curve over time. Only the curve is stretched to the width; all text is HTML beside it. The
 * crosshair follows the pointer, or the arrow keys: behind it is a slider.
 */
export function LineChart(props: LineChartProps) {
  const extremes = useMemo(() => extremesOf(props.points), [props.points])
  return extremes && <Chart {...props} extremes={extremes} />
}

function Chart(props: LineChartProps & { extremes: Extremes }) {
  const { label, points, isDaily, write, colour, heightPx, time, onTime, extremes } = props
  const { t, locale } = useLocale()
  const scale = useMemo(() => scaleOf(extremes), [extremes])
  const path = useMemo(() => pathOf(points, scale), [points, scale])
  const { first, last, low, high } = extremes
  const day = (at: number) => moment(at, locale, isDaily)

  const at = time === null ? points.length - 1 : nearest(points, time)
  const shown = points[at] ?? last
  const reading = `${write(shown[1])} · ${day(shown[0])}`
  const summary = t('chart.summary', {
    label,
    start: day(first[0]),
    end: day(last[0]),
    first: write(first[1]),
    last: write(last[1]),
    low: write(low[1]),
    lowDay: day(low[0]),
    high: write(high[1]),
    highDay: day(high[0]),
  })
  const follow = (event: PointerEvent) => {
    const { left, width } = event.currentTarget.getBoundingClientRect()
    onTime(scale.timeAt((event.clientX - left) / width))
  }
  return (
    <Box sx={{ minWidth: 0 }}>
      <Typography variant="caption" component="p" aria-hidden sx={{ display: 'flex', gap: 1 }}>
        <Box component="span" sx={{ color: 'text.secondary' }}>
          {label}
        </Box>
        <Box component="span" sx={{ ml: 'auto', fontVariantNumeric: 'tabular-nums' }}>
          {reading}
        </Box>
      </Typography>
      <Box
        sx={{
          position: 'relative',
          height: heightPx,
          mr: `${AXIS_PX}px`,
          color: colour,
          // A finger that moves sideways reads the chart, up and down scrolls the page.
          touchAction: 'pan-y',
          '&:focus-within': { outline: '2px solid', outlineOffset: 2 },
        }}
        onPointerMove={follow}
        onPointerDown={follow}
        onPointerLeave={() => {
          onTime(null)
        }}
      >
        <Curve label={summary} path={path} crosshair={time === null ? null : scale.x(shown[0])} />
        <Axis {...props} y={scale.y} />
        <Box
          component="input"
          type="range"
          min={0}
          max={points.length - 1}
          value={at}
          aria-label={t('chart.read', { label })}
          aria-valuetext={reading}
          onChange={(event) => {
            onTime(points[Number(event.currentTarget.value)]?.[0] ?? null)
          }}
          onBlur={() => {
            onTime(null)
          }}
          sx={HIDDEN}
        />
      </Box>
    </Box>
  )
}

function Curve(props: { label: string; path: string; crosshair: number | null }) {
  const { label, path, crosshair } = props
  return (
    <Box
      component="svg"
      role="img"
      aria-label={label}
      viewBox="0 0 100 100"
      preserveAspectRatio="none"
      sx={{
        display: 'block',
        width: '100%',
        height: '100%',
        overflow: 'visible',
        fill: 'none',
        stroke: 'currentColor',
        strokeLinejoin: 'round',
        '& *': { vectorEffect: 'non-scaling-stroke' },
      }}
    >
      <path d={path} strokeWidth={1.5} />
      {crosshair !== null && (
        <line x1={crosshair} x2={crosshair} y1={0} y2={100} strokeDasharray="3 3" />
      )}
    </Box>
  )
}

function Axis(props: LineChartProps & { extremes: Extremes; y: (value: number) => number }) {
  const { extremes, writeShort, y } = props
  return roundValues(extremes.low[1], extremes.high[1]).map((value) => (
    <Typography
      key={value}
      variant="caption"
      aria-hidden
      sx={{
        position: 'absolute',
        top: `${y(value)}%`,
        width: '100%',
        height: 0,
        borderTop: '1px solid',
        borderColor: 'divider',
        color: 'text.secondary',
        pointerEvents: 'none',
        '& > span': {
          position: 'absolute',
          left: '100%',
          pl: 0.5,
          transform: 'translateY(-50%)',
          whiteSpace: 'nowrap',
        },
      }}
    >
      <span>{writeShort(value)}</span>
    </Typography>
  ))
}
