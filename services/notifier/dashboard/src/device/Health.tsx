import type { Device } from '../api/client';
import { ago, moment, number } from '../shell/time';

/** How far each metric can be trusted, and how much its signal weighs in its group. */
export function Health({ device }: { device: Device | null }) {
  const metrics = device?.health?.metrics ?? [];
  if (metrics.length === 0) return <p class="faint">Not judged yet: that takes a group of sensors, and some days.</p>;
  return (
    <table class="health">
      <thead>
        <tr>
          <th scope="col">Metric</th>
          <th scope="col">State</th>
          <th scope="col">Weight</th>
          <th scope="col">Residual</th>
          <th scope="col">Since</th>
        </tr>
      </thead>
      <tbody>
        {metrics.map(({ metric, state, weight, residual, since }) => (
          <tr key={metric}>
            <th scope="row">{metric}</th>
            <td>
              <span class="device-health" data-health={state}>
                {state.toLowerCase()}
              </span>
            </td>
            <td>
              <meter min={0} max={1} low={0.4} high={0.8} optimum={1} value={weight} aria-label={`Weight of ${metric}`} /> {weight.toFixed(2)}
            </td>
            <td>{residual == null ? '–' : number(residual)}</td>
            <td>
              <time dateTime={since} title={moment(since)}>
                {ago(since)}
              </time>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
