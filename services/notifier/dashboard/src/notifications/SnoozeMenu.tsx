const HOUR = 3_600_000;
const CHOICES: readonly [string, () => number][] = [
  ['for 15 minutes', () => Date.now() + HOUR / 4],
  ['for an hour', () => Date.now() + HOUR],
  ['for 4 hours', () => Date.now() + 4 * HOUR],
  ['until tomorrow, 8:00', () => new Date().setHours(32, 0, 0, 0)],
  ['for a week', () => Date.now() + 7 * 24 * HOUR],
];

/** Until when: a choice is the act. */
export function SnoozeMenu({ snooze, label = 'Snooze' }: { snooze: (until: string) => void; label?: string }) {
  return (
    <select
      class="snooze"
      aria-label={label}
      data-action="snooze"
      value=""
      onChange={(event) => {
        const choice = CHOICES[event.currentTarget.selectedIndex - 1];
        event.currentTarget.selectedIndex = 0;
        if (choice) snooze(new Date(choice[1]()).toISOString());
      }}
    >
      <option value="">Snooze…</option>
      {CHOICES.map(([text]) => (
        <option key={text}>{text}</option>
      ))}
    </select>
  );
}
