/** Cards are loaded when the first one is shown. Where there are none, texts stand in their place. */
import { lazy, type ComponentType } from 'react'
import type { BacktestProgress, CommandResultEntry, Step } from '../wire'

const found = import.meta.glob('../cards/{JobCard,ResultCard,Steps}.tsx')

function card<P>(name: string): ComponentType<P> | null {
  const load = found[`../cards/${name}.tsx`]
  return load ? lazy(load as () => Promise<{ default: ComponentType<P> }>) : null
}

export const JobCard = card<{ job: BacktestProgress; onCancel?: () => void }>('JobCard')
export const ResultCard = card<{ entry: CommandResultEntry }>('ResultCard')
export const Steps = card<{ steps: readonly Step[] }>('Steps')
