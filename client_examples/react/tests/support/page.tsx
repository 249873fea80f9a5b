import 'fake-indexeddb/auto'
import { cleanup, configure, render, screen } from '@testing-library/react'
import { userEvent } from '@testing-library/user-event'
import axe from 'axe-core'
import { VirtuosoMockContext } from 'react-virtuoso'
import { afterEach } from 'vitest'
import { ChatInterface, type ChatInterfaceProps } from '../../src/components/ChatInterface'

// Whether something is hidden takes jsdom longer to tell than all the rest.
configure({ asyncUtilTimeout: 10_000, defaultHidden: true })

// What jsdom lacks.
Element.prototype.scrollIntoView = () => undefined

afterEach(() => {
  cleanup()
  localStorage.clear()
  sessionStorage.clear()
})

/** Show the interface, in a list that is high enough for all rows; jsdom has no heights. */
export function open(props: ChatInterfaceProps) {
  const user = userEvent.setup({ delay: null })
  const shown = render(
    <VirtuosoMockContext.Provider value={{ viewportHeight: 3_000, itemHeight: 50 }}>
      <ChatInterface locale="en" {...props} />
    </VirtuosoMockContext.Provider>,
  )
  return { user, ...shown }
}

export const box = () => screen.getByRole<HTMLTextAreaElement>('textbox', { name: 'Message' })

export const connected = () => screen.findByText('Connected')

/** What axe finds that keeps people out; colours cannot be seen here. */
export async function barriers(): Promise<string[]> {
  const { violations } = await axe.run(document.body, {
    rules: { 'color-contrast': { enabled: false } },
  })
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join('\n')}`)
}
