import { CARD_TEXTS } from '../cards/words'

/**
 * All words of the page, in each of its languages. `{name}` is a place for a value; where a text
 * depends on a number, `{count}` chooses between `one` and `other`.
 */
export type Text = string | { one: string; other: string }

export const TEXTS = {
  ...CARD_TEXTS,

  // the bar
  connected: { en: 'Connected', ko: '연결됨' },
  connecting: { en: 'Connecting…', ko: '연결 중…' },
  reconnecting: { en: 'Reconnecting…', ko: '다시 연결 중…' },
  offline: { en: 'Offline', ko: '오프라인' },
  refused: { en: 'Refused', ko: '연결 거부됨' },
  catchingUp: { en: 'Catching up…', ko: '따라잡는 중…' },
  copyLink: { en: 'Copy the link to {title}', ko: '{title} 링크 복사' },
  notCopied: { en: 'The browser does not let us copy.', ko: '브라우저가 복사를 허용하지 않습니다.' },
  members: { en: { one: '{count} member', other: '{count} members' }, ko: '참여자 {count}명' },
  membersShown: { en: 'The {count} longest here', ko: '가장 오래 있는 {count}명' },
  you: { en: '{name} (you)', ko: '{name} (나)' },
  since: { en: 'since {time}', ko: '{time}부터' },
  settings: { en: 'Settings', ko: '설정' },
  yourName: { en: 'Your name', ko: '내 이름' },
  save: { en: 'Save', ko: '저장' },
  theme: { en: 'Theme', ko: '테마' },
  light: { en: 'Light', ko: '밝게' },
  dark: { en: 'Dark', ko: '어둡게' },
  system: { en: 'As the system', ko: '시스템 설정' },
  language: { en: 'Language', ko: '언어' },
  assistantMode: { en: 'The assistant answers', ko: '어시스턴트 응답' },
  always: { en: 'Everything', ko: '모두' },
  addressed: { en: '@assistant only', ko: '@assistant만' },
  off: { en: 'Nothing', ko: '끔' },

  // sessions
  sessions: { en: 'Sessions', ko: '세션' },
  openSessions: { en: 'Show sessions', ko: '세션 보기' },
  newSession: { en: 'New session', ko: '새 세션' },
  sessionTitle: { en: 'Title (optional)', ko: '제목 (선택)' },
  create: { en: 'Create', ko: '만들기' },
  cancel: { en: 'Cancel', ko: '취소' },
  removeSession: { en: 'Remove {title} from this list', ko: '목록에서 {title} 제거' },
  unread: { en: '{count} unread', ko: '읽지 않음 {count}개' },

  // the transcript
  transcript: { en: 'Transcript', ko: '대화' },
  assistant: { en: 'Assistant', ko: '어시스턴트' },
  somebody: { en: 'Somebody', ko: '알 수 없음' },
  today: { en: 'Today', ko: '오늘' },
  yesterday: { en: 'Yesterday', ko: '어제' },
  newMessages: { en: { one: '{count} new message', other: '{count} new messages' }, ko: '새 메시지 {count}개' },
  toLatest: { en: 'To the latest', ko: '맨 아래로' },
  earlier: { en: 'The session began earlier.', ko: '이전 대화가 더 있습니다.' },
  downloadAll: { en: 'Download all of it', ko: '전체 내려받기' },
  gap: { en: 'Entries before this one are no longer kept.', ko: '이 앞의 기록은 더 이상 보관되지 않습니다.' },
  pending: { en: 'Sending…', ko: '보내는 중…' },
  waiting: { en: 'Will be sent when connected', ko: '연결되면 보냅니다' },
  onlyYou: { en: 'Only you see this', ko: '나에게만 보임' },
  notSent: { en: 'Not sent', ko: '보내지 못함' },
  retry: { en: 'Try again', ko: '다시 보내기' },
  discard: { en: 'Discard', ko: '버리기' },
  writing: { en: 'writing…', ko: '작성 중…' },
  running: { en: 'runs {command}', ko: '{command} 실행 중' },
  inReplyTo: { en: 'In reply to {name}: {text}', ko: '{name}님에게 답장: {text}' },
  stoppedBy: { en: 'Stopped by {name}', ko: '{name}님이 멈춤' },
  stopped: { en: 'Stopped', ko: '멈춤' },
  interrupted: { en: 'The server went away in the middle.', ko: '서버가 중단되어 끝나지 않았습니다.' },
  failed: { en: 'Failed', ko: '실패' },
  cached: { en: 'from an equal question', ko: '같은 질문의 답' },
  copyCode: { en: 'Copy the code', ko: '코드 복사' },
  copied: { en: 'Copied', ko: '복사됨' },
  said: { en: '{name}: {text}', ko: '{name}: {text}' },

  // the beginning
  welcome: { en: 'Nothing has been said here yet', ko: '아직 대화가 없습니다' },
  welcomeHow: {
    en: 'Everybody with the link sees the same room. Type / for commands, or choose an example:',
    ko: '링크를 가진 모두가 같은 방을 봅니다. /를 입력하면 명령이 나옵니다. 예시를 골라 보세요:',
  },
  exampleBacktest: { en: 'Run a backtest', ko: '백테스트 실행' },
  exampleCompare: { en: 'Compare strategies', ko: '전략 비교' },
  exampleHelp: { en: 'See all commands', ko: '모든 명령 보기' },
  exampleAsk: { en: 'Ask the assistant', ko: '어시스턴트에게 질문' },
  exampleQuestion: {
    en: '@assistant Which strategy did best on AAPL?',
    ko: '@assistant AAPL에서 가장 좋았던 전략은?',
  },

  // the composer
  message: { en: 'Message', ko: '메시지' },
  composerHint: {
    en: 'Message, or / for commands',
    ko: '메시지 또는 / 명령 입력',
  },
  composerKeys: {
    en: 'Enter sends, Shift+Enter makes a new line, Up brings back what you sent.',
    ko: 'Enter 전송, Shift+Enter 줄바꿈, 위쪽 화살표로 보낸 메시지를 다시 불러옵니다.',
  },
  send: { en: 'Send', ko: '보내기' },
  stop: { en: 'Stop the answer', ko: '답변 멈추기' },
  characters: { en: '{count} of {limit} characters', ko: '{limit}자 중 {count}자' },
  tooLong: { en: 'Too long: {count} of {limit} characters', ko: '너무 깁니다: {limit}자 중 {count}자' },
  suggestions: { en: 'Suggestions', ko: '추천' },
  suggestionCount: { en: { one: '{count} suggestion', other: '{count} suggestions' }, ko: '추천 {count}개' },

  // files
  importFile: { en: 'Import a file', ko: '파일 가져오기' },
  dropHere: { en: 'Drop prices or strategies here', ko: '가격 또는 전략 파일을 여기에 놓으세요' },
  dropKinds: {
    en: 'CSV or Parquet with prices, JSON with strategies. Everybody here can use them.',
    ko: '가격은 CSV나 Parquet, 전략은 JSON 파일입니다. 여기 모두가 사용할 수 있습니다.',
  },
  importing: { en: 'Importing {name}…', ko: '{name} 가져오는 중…' },
  replace: { en: 'Replace', ko: '바꾸기' },

  // problems of our own; those of the server come with its words
  problemLeft: {
    en: 'The session was left before the server had answered.',
    ko: '서버가 응답하기 전에 세션을 나갔습니다.',
  },
  problemUnreachable: { en: 'The server does not answer.', ko: '서버가 응답하지 않습니다.' },
  problemNoSession: { en: 'No session is joined.', ko: '참여한 세션이 없습니다.' },
  problemUnreadable: { en: 'This is no file that can be read.', ko: '읽을 수 있는 파일이 아닙니다.' },
  close: { en: 'Close', ko: '닫기' },
} as const satisfies Record<string, { en: Text; ko: string }>
