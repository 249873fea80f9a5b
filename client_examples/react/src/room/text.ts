/** The text form of a command given by name and values, as a person would type it. */
export function commandText(name: string, parameters: Record<string, unknown>): string {
  const { args, ...named } = parameters
  const positional = Array.isArray(args) ? args.map(word) : []
  const values = Object.entries(named).map(([key, value]) => `${key}=${word(value)}`)
  return [`/${name.replace(/^\//, '')}`, ...positional, ...values].join(' ')
}

function word(value: unknown): string {
  if (Array.isArray(value)) return value.map(String).join(',')
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return /[\s"]/.test(text) ? `"${text.replaceAll('"', '\\"')}"` : text
}
