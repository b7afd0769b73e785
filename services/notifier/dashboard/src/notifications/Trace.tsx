/** Where traces are looked at, with `{trace_id}` in it; empty when this Fieldwatch was not told. */
const TRACES = document.querySelector<HTMLMetaElement>('meta[name=fieldwatch-traces]')?.content ?? '';

/** A link to the trace, or its number where nothing is known that shows it. */
export function Trace({ id, address }: { id?: string | null; address?: string }) {
  const known = address ?? (id && TRACES && TRACES.replace('{trace_id}', encodeURIComponent(id)));
  if (known && /^https?:\/\//.test(known)) {
    return (
      <a class="trace" href={known} rel="noreferrer noopener" target="_blank">
        Trace
      </a>
    );
  }
  if (!id) return null;
  return (
    <span class="trace faint">
      trace <code>{id}</code>
    </span>
  );
}
