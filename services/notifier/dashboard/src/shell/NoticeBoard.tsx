import { dismiss, notices, undo } from './notices';

export function NoticeBoard() {
  return (
    <div class="notices" role="log" aria-label="What was done">
      {notices.value.map((notice) => (
        <div key={notice.id} class="notice" data-bad={notice.bad || undefined}>
          <span>{notice.text}</span>
          {notice.undo && (
            <button type="button" onClick={() => void undo(notice)}>
              Undo
            </button>
          )}
          <button type="button" class="quiet" aria-label="Dismiss" onClick={() => dismiss(notice)}>
            ×
          </button>
        </div>
      ))}
    </div>
  );
}
