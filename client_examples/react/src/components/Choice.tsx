import ToggleButton from '@mui/material/ToggleButton'
import ToggleButtonGroup from '@mui/material/ToggleButtonGroup'
import Typography from '@mui/material/Typography'
import { useId } from 'react'

interface Props<T extends string> {
  label: string
  value: T
  options: readonly (readonly [T, string])[]
  onChange: (value: T) => void
}

/** One of a few, all in sight. */
export function Choice<T extends string>({ label, value, options, onChange }: Props<T>) {
  const id = useId()
  return (
    <>
      <Typography id={id} variant="body2" sx={{ mt: 2, mb: 0.5 }}>
        {label}
      </Typography>
      <ToggleButtonGroup
        exclusive
        fullWidth
        size="small"
        aria-labelledby={id}
        value={value}
        onChange={(_, chosen: T | null) => {
          if (chosen !== null) onChange(chosen)
        }}
      >
        {options.map(([one, words]) => (
          <ToggleButton key={one} value={one}>
            {words}
          </ToggleButton>
        ))}
      </ToggleButtonGroup>
    </>
  )
}
