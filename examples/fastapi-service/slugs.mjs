export function slug(title) {
  const slug = title.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase().match(/[a-z0-9]+/g)?.join('-');
  if (!slug) throw new RangeError(`no letters in ${JSON.stringify(title)}`);
  return slug;
}

export async function* words(title) {
  for (const { segment, isWordLike } of new Intl.Segmenter('en', { granularity: 'word' }).segment(title)) {
    if (isWordLike) yield segment;
  }
}
