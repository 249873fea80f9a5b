/**
 * Markdown as React elements. Nothing is ever set as HTML: what `marked` reads as HTML is shown as
 * the text it is, pictures become links, and links go only where it is harmless.
 */
import Box from '@mui/material/Box'
import Link from '@mui/material/Link'
import { marked, type MarkedToken, type Token, type Tokens } from 'marked'
import { Fragment, memo, useMemo, type ReactNode } from 'react'
import { CopyButton } from './CopyButton'
import { safeAddress, useServer } from './server'
import { useLocale } from '../i18n'

export const Markdown = memo(function Markdown({ text }: { text: string }) {
  const server = useServer()
  const tokens = useMemo(() => marked.lexer(text, { gfm: true, breaks: true }), [text])
  return <Box sx={STYLE}>{all(tokens, server)}</Box>
})

function all(tokens: readonly Token[] | undefined, server: string): ReactNode {
  return tokens?.map((token, at) => (
    <Fragment key={at}>{block(token as MarkedToken, server)}</Fragment>
  ))
}

function block(token: MarkedToken, server: string): ReactNode {
  switch (token.type) {
    case 'space':
    case 'def':
      return null
    case 'heading':
      return <p className="heading">{all(token.tokens, server)}</p>
    case 'paragraph':
      return <p>{all(token.tokens, server)}</p>
    case 'blockquote':
      return <blockquote>{all(token.tokens, server)}</blockquote>
    case 'list':
      return <List list={token} server={server} />
    case 'code':
      return <Code text={token.text} />
    case 'table':
      return <Table table={token} server={server} />
    case 'hr':
      return <hr />
    default:
      return inline(token, server)
  }
}

const MARKS: Record<string, 'strong' | 'em' | 'del'> = { strong: 'strong', em: 'em', del: 'del' }

function inline(token: MarkedToken, server: string): ReactNode {
  const Mark = MARKS[token.type]
  if (Mark && 'tokens' in token) return <Mark>{all(token.tokens, server)}</Mark>
  switch (token.type) {
    case 'codespan':
      return <code>{token.text}</code>
    case 'br':
      return <br />
    case 'link':
    case 'image':
      return (
        <Anchor href={token.href} server={server}>
          {all(token.tokens, server) ?? (token.text || token.href)}
        </Anchor>
      )
    default:
      return plain(token, server)
  }
}

function plain(token: MarkedToken, server: string): ReactNode {
  if (token.type === 'text') return token.tokens ? all(token.tokens, server) : token.text
  return token.type === 'escape' ? token.text : token.raw
}

function Anchor(props: { href: string; server: string; children: ReactNode }) {
  const href = safeAddress(props.href, props.server)
  if (href === null) return props.children
  return (
    <Link href={href} target="_blank" rel="noopener noreferrer">
      {props.children}
    </Link>
  )
}

function List({ list, server }: { list: Tokens.List; server: string }) {
  const items = list.items.map((item, at) => (
    <li key={at}>{all(item.tokens, server)}</li>
  ))
  return list.ordered ? <ol start={Number(list.start)}>{items}</ol> : <ul>{items}</ul>
}

function Code({ text }: { text: string }) {
  const { t } = useLocale()
  return (
    <Box className="code">
      {/* Focusable, so that a keyboard can scroll it. */}
      <pre tabIndex={0}>
        <code>{text}</code>
      </pre>
      <CopyButton text={text} label={t('copyCode')} />
    </Box>
  )
}

function Table({ table, server }: { table: Tokens.Table; server: string }) {
  const cell = (Tag: 'th' | 'td') => (one: Tokens.TableCell, at: number) => (
    <Tag key={at} style={one.align ? { textAlign: one.align } : undefined}>
      {all(one.tokens, server)}
    </Tag>
  )
  return (
    <Box className="table" tabIndex={0}>
      <table>
        <thead>
          <tr>{table.header.map(cell('th'))}</tr>
        </thead>
        <tbody>
          {table.rows.map((row, at) => (
            <tr key={at}>{row.map(cell('td'))}</tr>
          ))}
        </tbody>
      </table>
    </Box>
  )
}

const STYLE = {
  overflowWrap: 'anywhere',
  '& > :first-of-type': { mt: 0 },
  '& > :last-child': { mb: 0 },
  '& p, & ul, & ol, & blockquote': { my: 0.75 },
  '& ul, & ol': { pl: 3 },
  '& .heading': { fontWeight: 600 },
  '& blockquote': { mx: 0, pl: 1.5, borderLeft: 3, borderColor: 'divider' },
  '& hr': { border: 0, borderTop: 1, borderColor: 'divider' },
  '& code': { fontFamily: 'ui-monospace, Menlo, Consolas, monospace', fontSize: '0.92em' },
  '& .code': { position: 'relative', my: 1 },
  '& .code > button': { position: 'absolute', top: 2, right: 2 },
  '& pre': { m: 0, p: 1.25, pr: 5, overflowX: 'auto', bgcolor: 'action.hover', borderRadius: 1 },
  '& .table': { overflowX: 'auto', my: 1 },
  '& table': { borderCollapse: 'collapse', fontVariantNumeric: 'tabular-nums' },
  '& th, & td': { px: 1, py: 0.25, borderBottom: 1, borderColor: 'divider', textAlign: 'left' },
} as const
