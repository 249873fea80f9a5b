import Avatar from '@mui/material/Avatar'

/** Two letters on a colour that is always the same for this person. */
export function Person({ id, name, size = 32 }: { id: string; name: string; size?: number }) {
  const hue = Array.from(id).reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 360, 7)
  return (
    <Avatar
      alt=""
      aria-hidden
      sx={{
        width: size,
        height: size,
        fontSize: size * 0.42,
        color: '#fff',
        bgcolor: `hsl(${hue} 45% 38%)`,
      }}
    >
      {initials(name)}
    </Avatar>
  )
}

function initials(name: string): string {
  const words = name.split(/[\s_-]+/).filter(Boolean)
  return words
    .slice(0, 2)
    .map((word) => Array.from(word)[0])
    .join('')
    .toUpperCase()
}
