import Box from '@mui/material/Box'
import Typography from '@mui/material/Typography'
import type { ReactNode } from 'react'
import type { ComparisonData, Matrix } from '../wire'
import { Downloads } from './Downloads'
import { decimal, figure, METRICS, percent } from './figures'
import { Frame } from './Frame'
import { Proof } from './Proof'
import { Table } from './Table'
import { useWords } from './useWords'

export interface ComparisonCardProps {
  data: ComparisonData
  /** What the server says of where the result comes from. */
  note?: string | null
  /** The server, if it is not the page's. */
  url?: string | undefined
}

/** A completed comparison, its members in the order of their ranking. */
export default function ComparisonCard({ data, note = null, url }: ComparisonCardProps) {
  const { correlation, monteCarlo, summary, recommendation, reasoning } = data
  const { t, locale } = useWords()
  return (
    <Frame title={t('comparison.title', { count: data.strategies.length })}>
      <Typography variant="body2">{summary}</Typography>
      <Ranking data={data} />
      <Words title={t('comparison.recommendation')}>{recommendation}</Words>
      <Words title={t('comparison.reasoning')}>{reasoning}</Words>
      <Square
        caption={t('comparison.correlation')}
        matrix={correlation}
        write={(value) => decimal(value, locale)}
      />
      <MonteCarlo data={data} />
      <Square
        caption={t('comparison.ahead')}
        matrix={monteCarlo.ahead}
        write={(value) => percent(value, locale, 1)}
      />
      <Regimes data={data} />
      <Proof data={data} note={note} />
      <Downloads links={data.links} url={url} />
    </Frame>
  )
}

/** All figures of all members; who is first by one is marked, and the mark is read too. */
function Ranking({ data }: { data: ComparisonData }) {
  const { t, locale } = useWords()
  const members = data.ranking.flatMap(({ name }) => data.strategies.filter((one) => one.name === name))
  return (
    <Table
      caption={`${t('comparison.score')}: ${t('comparison.scoreOf')}`}
      columns={[
        t('result.figure'),
        ...data.ranking.map(({ rank, name }) => `${rank}. ${name}`),
      ]}
      rows={[
        {
          key: 'score',
          head: t('comparison.score'),
          cells: data.ranking.map(({ score }) => decimal(score, locale)),
        },
        ...METRICS.map((name) => ({
          key: name,
          head: t(`metric.${name}`),
          cells: members.map(({ metrics, ranks }) => {
            const written = figure(name, metrics[name], locale)
            return ranks[name] === 1 ? <Best key={name}>{written}</Best> : written
          }),
        })),
      ]}
    />
  )
}

function Best({ children }: { children: string }) {
  const { t } = useWords()
  return (
    <Box component="strong" sx={{ color: 'success.main' }}>
      <span role="img" aria-label={t('comparison.best')}>
        ★
      </span>{' '}
      {children}
    </Box>
  )
}

function Words({ title, children }: { title: string; children: ReactNode }) {
  return (
    <Typography variant="body2">
      <strong>{title}.</strong> {children}
    </Typography>
  )
}

interface SquareProps {
  caption: string
  matrix: Matrix
  write: (value: number | null) => string
}

function Square({ caption, matrix: { labels, matrix }, write }: SquareProps) {
  return (
    <Table
      caption={caption}
      columns={['', ...labels]}
      rows={labels.map((label, row) => ({
        key: label,
        head: label,
        // Nothing compares with itself.
        cells: (matrix[row] ?? []).map((value, column) => (row === column ? '' : write(value))),
      }))}
    />
  )
}

/** Percentiles of the simulated ends, and how often it goes wrong. */
function MonteCarlo({ data: { monteCarlo } }: { data: ComparisonData }) {
  const { t, locale } = useWords()
  const { members, paths } = monteCarlo
  const percentiles = Object.keys(members[0]?.terminalReturn ?? {})
  return (
    <Table
      caption={t('comparison.monteCarlo', { paths })}
      columns={[
        t('result.strategy'),
        ...percentiles.map((one) => `${one} %`),
        t('comparison.loss'),
        t('comparison.fall20'),
        t('comparison.fall30'),
      ]}
      rows={members.map((member) => ({
        key: member.name,
        head: member.name,
        cells: [
          ...percentiles.map((one) => percent(member.terminalReturn[one], locale, 1)),
          percent(member.probabilityOfLoss, locale, 1),
          percent(member.probabilityOfDrawdown20, locale, 1),
          percent(member.probabilityOfDrawdown30, locale, 1),
        ],
      }))}
    />
  )
}

const REGIMES = ['bull', 'bear', 'sideways'] as const

function Regimes({ data: { regimes } }: { data: ComparisonData }) {
  const { t, locale } = useWords()
  const names = REGIMES.map((regime) => t(`comparison.${regime}`))
  return (
    <>
      <Table
        caption={t('comparison.regimes')}
        columns={[
          t('result.strategy'),
          ...names.map((regime) => t('comparison.returnIn', { regime })),
          ...names.map((regime) => t('comparison.sharpeIn', { regime })),
        ]}
        rows={regimes.members.map((member) => ({
          key: member.name,
          head: member.name,
          cells: [
            ...REGIMES.map((one) => percent(member.regimes[one].annual_return, locale)),
            ...REGIMES.map((one) => decimal(member.regimes[one].sharpe_ratio, locale)),
          ],
        }))}
      />
      <Typography variant="caption" color="text.secondary">
        {regimes.rule}
      </Typography>
    </>
  )
}
