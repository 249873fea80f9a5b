import { Component, Suspense, type ReactNode } from 'react'

interface Props {
  /** What is shown until the children are loaded, or if they cannot be: an old page, a new server. */
  instead: ReactNode
  children: ReactNode
}

export class Fallback extends Component<Props, { failed: boolean }> {
  override state = { failed: false }

  static getDerivedStateFromError(): { failed: boolean } {
    return { failed: true }
  }

  override render(): ReactNode {
    const { instead, children } = this.props
    return this.state.failed ? instead : <Suspense fallback={instead}>{children}</Suspense>
  }
}
