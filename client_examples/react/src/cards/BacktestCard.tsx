import Box from '@mui/material/Box'
import Typography from '@mui/material/Typography'
import { useState } from 'react'
import type { BacktestData, Metrics } from '../wire'
import { AXIS_PX, LineChart } from './chart/LineChart'
import { Downloads } from './Downloads'
import { compact, decimal, figure, HEADLINE, isDaily, METRICS, moment, percent } from './format'
import { Fold } from './Fold'
import { Frame } from './Frame'
import { Proof } from './Proof'
import { Table } from './Table'
import { useLocale } from '../i18n'

export interface BacktestCardProps {
  data: BacktestData
  /** What the server says of where the result comes from. */
  note: string | null
}

/** A completed run: figures first, then curves, tables and files. */
export default function BacktestCard({ data, note }: BacktestCardProps) {
  const { strategy, symbols, bySymbol, metrics, benchmark } = data
  const { t, locale } = useLocale()
  const columns = [t('result.figure'), t('result.strategy'), t('result.benchmark')]
  return (
    <Frame title={`${strategy.id} · ${symbols.join(', ')}`}>
      <Setting data={data} />
      <Headline metrics={metrics} benchmark={benchmark} />
      <Curves data={data} />
      {bySymbol && <BySymbol bySymbol={bySymbol} />}
      <Fold title={t('result.allFigures')}>
        <Table
          caption={t('result.allFigures')}
          isCaptionHidden
          columns={columns}
          rows={METRICS.map((name) => ({
            key: name,
            head: t(`metric.${name}`),
            cells: [metrics, benchmark].map((one) => figure(name, one[name], locale)),
          }))}
        />
      </Fold>
      <Proof data={data} note={note} />
      <Downloads links={data.links} />
    </Frame>
  )
}

function Setting({ data }: { data: BacktestData }) {
  const { strategy, start, end, timeframe, bars, cash, fee } = data
  const { t, locale } = useLocale()
  const [from, to] = [start, end].map((at) => moment(at, locale, isDaily(timeframe)))
  const words = [
    t('result.period', { start: from ?? start, end: to ?? end }),
    t('result.bars', { bars, timeframe }),
    ...Object.entries(strategy.params).map(([name, value]) => `${name}=${String(value)}`),
    t('result.money', { cash: decimal(cash, locale, 0), fee: percent(fee, locale) }),
  ]
  return (
    <Typography variant="body2" color="text.secondary" sx={{ overflowWrap: 'anywhere' }}>
      {words.join(' · ')}
    </Typography>
  )
}

function Headline({ metrics, benchmark }: { metrics: Metrics; benchmark: Metrics }) {
  const { t, locale } = useLocale()
  return (
    <Box
      component="dl"
      sx={{
        m: 0,
        display: 'grid',
        gap: 1,
        gridTemplateColumns: 'repeat(auto-fit, minmax(14ch, 1fr))',
        fontVariantNumeric: 'tabular-nums',
        '& dt, & dd + dd': { typography: 'caption', color: 'text.secondary' },
        '& dd': { m: 0, typography: 'h6' },
      }}
    >
      {HEADLINE.map((name) => (
        <div key={name}>
          <dt>{t(`metric.${name}`)}</dt>
          <dd>{figure(name, metrics[name], locale)}</dd>
          <dd>
            {t('result.benchmark')} {figure(name, benchmark[name], locale)}
          </dd>
        </div>
      ))}
    </Box>
  )
}

function Curves({ data }: { data: BacktestData }) {
  const { points, drawdownPoints, drawdown, timeframe } = data
  const { t, locale } = useLocale()
  const [time, setTime] = useState<number | null>(null)
  const shared = { time, onTime: setTime, isDaily: isDaily(timeframe) }
  const day = (at: string) => moment(at, locale, shared.isDaily)
  return (
    <>
      <LineChart
        {...shared}
        label={t('chart.equity')}
        points={points}
        write={(value) => decimal(value, locale)}
        writeShort={(value) => compact(value, locale)}
        colour="primary.main"
        heightPx={160}
      />
      <LineChart
        {...shared}
        label={t('chart.drawdown')}
        points={drawdownPoints}
        write={(value) => percent(value, locale)}
        writeShort={(value) => percent(value, locale, 0)}
        colour="error.main"
        heightPx={80}
      />
      <Typography
        variant="caption"
        color="text.secondary"
        aria-hidden // the curves say it
        sx={{ display: 'flex', justifyContent: 'space-between', mt: -1, mr: `${AXIS_PX}px` }}
      >
        <span>{day(data.start)}</span>
        <span>{day(data.end)}</span>
      </Typography>
      {drawdown && (
        <Typography variant="body2" color="text.secondary">
          {t('result.fall', {
            peak: day(drawdown.peak),
            trough: day(drawdown.trough),
            recovery:
              drawdown.recovery === null ? t('result.notRecovered') : day(drawdown.recovery),
          })}
        </Typography>
      )}
    </>
  )
}

function BySymbol({ bySymbol }: { bySymbol: Record<string, Metrics> }) {
  const { t, locale } = useLocale()
  return (
    <Table
      caption={t('result.bySymbol')}
      columns={[t('result.symbol'), ...HEADLINE.map((name) => t(`metric.${name}`))]}
      rows={Object.entries(bySymbol).map(([symbol, metrics]) => ({
        key: symbol,
        head: symbol,
        cells: HEADLINE.map((name) => figure(name, metrics[name], locale)),
      }))}
    />
  )
}
