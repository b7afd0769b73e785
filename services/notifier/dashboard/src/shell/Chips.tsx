// A filter of several values at once, each a button that is in or out.

interface Chips<T extends string> {
  label: string;
  values: readonly T[];
  chosen: readonly string[];
  change: (chosen: T[]) => void;
  text?: (value: T) => string;
}

export function Chips<T extends string>({ label, values, chosen, change, text = lower }: Chips<T>) {
  const toggle = (value: T) => change(values.filter((one) => (one === value) !== chosen.includes(one)));
  return (
    <div class="chips" role="group" aria-label={label}>
      {values.map((value) => (
        <button key={value} type="button" class="chip" data-value={value} aria-pressed={chosen.includes(value)} onClick={() => toggle(value)}>
          {text(value)}
        </button>
      ))}
    </div>
  );
}

const lower = (value: string) => value.toLowerCase();
