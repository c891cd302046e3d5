-- WhatsApp: what the body of a webhook of the Cloud API says, as rows.
--
-- Owns:      which person an item is of (contact_of), what there is to read of a message (whatsapp_text), and the parts of a webhook's body
--            (whatsapp_items). Back ends in any language, with the chat tables or with tables of their own, read it by these.
-- Guarantee: every part of the body is a row. One that is no message and no status that we know has a problem, in words; the others are not
--            harmed by it. What Postgres can't hold (U+0000, half a surrogate) becomes U+FFFD. A body that is no JSON is an error.
-- Cost:      reads no table. About 0.5 ms for a body of one message.
-- Rights:    each runs as its caller, with a fixed search_path. Everybody may execute them: they say nothing that is not in what they are given.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

-- A part of a webhook's body.
create type rowcast.whatsapp_item as (
  nr bigint,             -- its place in the body
  kind text,             -- message, status, or other
  external_id text,      -- WhatsApp's id of the message, or of the one whose status it is
  contact_id text,       -- whose conversation it is in
  direction text,        -- of a message: inbound, or outbound where it was written on the business's own phone
  author text,           -- of an inbound message: the name in the person's profile
  body text,             -- of a message: what there is to read
  status text,           -- of a status: sent, delivered, read or failed
  error text,            -- why it failed
  at timestamptz,        -- the provider's time; null where it gave none
  problem text,          -- why it can't be stored as what it is; null for most
  item jsonb             -- as it came
);

-- A WhatsApp id as it is kept: a phone's is its number in one form, whichever of its forms the provider or a back end has. Others stay.
--   Brazil:    mobile numbers with the ninth digit. The older ids lack it. Landlines, which begin with 2 to 5, have none.
--   Argentina: with the 9 that stands for a mobile.
--   Mexico:    without the 1 that once stood for a mobile.
create function rowcast.contact_of(number text) returns text
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select case
    when digits ~ '^55[1-9][0-9][6-9][0-9]{7}$' then overlay(digits placing '9' from 5 for 0)
    when digits ~ '^54[1-3][0-9]{9}$' then overlay(digits placing '9' from 3 for 0)
    when digits ~ '^521[0-9]{10}$' then '52' || right(digits, 10)
    else digits
  end
  from (select case when number ~ '^[+][0-9 ().-]+$' then regexp_replace(number, '[^0-9]', '', 'g') else number end as digits) given
$$;

-- The provider's time: seconds since 1970 as a text or a number. Milliseconds are told by their size. Null for anything else.
create function rowcast.whatsapp_time(seconds jsonb) returns timestamptz
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select case when seconds #>> '{}' ~ '^[0-9]{1,13}([.][0-9]{1,9})?$'
    then to_timestamp(((seconds #>> '{}')::numeric / case when (seconds #>> '{}')::numeric >= 100000000000 then 1000 else 1 end)::float8) end
$$;

-- Why a message failed, in the provider's words.
create function rowcast.whatsapp_error(item jsonb) returns text
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select nullif(concat_ws(': ', coalesce(error ->> 'title', error ->> 'message', error ->> 'code'),
                          nullif(error #>> '{error_data,details}', error ->> 'title')), '')
  from (select jsonb_path_query_first(item, '$.errors[0]') as error) first
$$;

-- What there is to read of a message: what was written, chosen or named; for anything else its type in brackets, never nothing.
create function rowcast.whatsapp_text(item jsonb) returns text
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select coalesce(
    case type
      when 'location' then
        coalesce(nullif(concat_ws(', ', nullif(content ->> 'name', ''), nullif(content ->> 'address', '')), ''),
                 nullif(concat_ws(', ', content ->> 'latitude', content ->> 'longitude'), ''))
      when 'contacts' then
        (select string_agg(named, ', ' order by nr)
         from jsonb_path_query(content, '$[*]') with ordinality as c (contact, nr),
              coalesce(contact #>> '{name,formatted_name}', contact #>> '{phones,0,phone}') as named)
    end,
    (select found #>> '{}' from unnest(array[
        content -> 'body', content -> 'caption', content -> 'text', content -> 'emoji', content #> '{button_reply,title}',
        content #> '{list_reply,title}', content #> '{nfm_reply,body}', content -> 'title', content -> 'filename', content -> 'name'
      ]) with ordinality as f (found, nr)
      where jsonb_typeof(found) = 'string' and found #>> '{}' ~ '\S' order by nr limit 1),
    '[' || type || ']')
  from (select type, item -> type as content
        from coalesce(left(nullif(item ->> 'type', ''), 60), 'unknown') as type) of_type
$$;

-- Postgres takes each list in JSON for a thousand items, and would compile for a body that has a million of them.
create function rowcast.whatsapp_items(request text) returns setof rowcast.whatsapp_item
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp set jit = off as $$
#variable_conflict use_column
declare
  whole jsonb;
begin
  -- jsonb refuses these two. A backslash before them may itself be a character that is escaped.
  if request ~* '\\u(0000|d[89a-f])' then
    request := regexp_replace(request, '(?<!\\)((?:\\\\)*)\\u0000', '\1\\ufffd', 'g');
    request := regexp_replace(request, '(?<!\\)((?:\\\\)*)\\ud[89ab][0-9a-f]{2}(?!\\ud[c-f][0-9a-f]{2})', '\1\\ufffd', 'gi');
    request := regexp_replace(request, '(?<!\\ud[89ab][0-9a-f]{2})(?<!\\)((?:\\\\)*)\\ud[c-f][0-9a-f]{2}', '\1\\ufffd', 'gi');
  end if;
  whole := request::jsonb;
  return query
  with entry as (
    select entry, e from jsonb_path_query(whole, '$.entry[*]') with ordinality as t (entry, e)
  ), change as (
    select change, change -> 'value' as value, e, c
    from entry cross join jsonb_path_query(entry, '$.changes[*]') with ordinality as t (change, c)
  ), part as (
    select e, c, p, i, value, member, item
    from change
    cross join (values (1, 'messages'), (2, 'message_echoes'), (3, 'statuses'), (4, 'errors')) as members (p, member)
    cross join jsonb_path_query(value -> member, '$[*]') with ordinality as t (item, i)
    where jsonb_typeof(value -> member) <> 'null'
    -- What has no part that we know is one part.
    union all
    select e, c, 0, 0, value, format('field %s', coalesce(change -> 'field', 'null')), change from change
    where (value ?| array['messages', 'message_echoes', 'statuses', 'errors']) is not true
    union all
    select e, 0, 0, 0, null, 'entry', entry from entry where not jsonb_path_exists(entry, '$.changes[*]')
    union all
    select 0, 0, 0, 0, null, 'body', whole where not jsonb_path_exists(whole, '$.entry[*]')
  ), told as (
    select row_number() over (order by e, c, p, i) as nr, member, value, item,
      case when member in ('messages', 'message_echoes') then 'message' when member = 'statuses' then 'status' else 'other' end as kind,
      (select nullif(id #>> '{}', '') from (select item -> 'id' as id) it where jsonb_typeof(id) in ('string', 'number')) as external_id,
      (select nullif(rowcast.contact_of(who #>> '{}'), '')
       from unnest(case member
           when 'messages' then array[item -> 'from', item -> 'from_user_id', sole -> 'wa_id', sole -> 'user_id']
           when 'message_echoes' then array[item -> 'to', item -> 'to_user_id', sole -> 'wa_id', sole -> 'user_id']
           else array[item -> 'recipient_id', item -> 'recipient_user_id'] end) with ordinality as w (who, nr)
       where jsonb_typeof(who) in ('string', 'number') and who #>> '{}' <> '' order by nr limit 1) as contact_id
    from part cross join lateral (
      -- A webhook of one person names that one beside the messages.
      select case when count(*) = 1 then jsonb_agg(known) -> 0 end as sole from jsonb_path_query(value, '$.contacts[0 to 1]') as known
    ) alone
  )
  select nr, kind, case when kind <> 'other' then external_id end, case when kind <> 'other' then contact_id end,
    case member when 'messages' then 'inbound' when 'message_echoes' then 'outbound' end,
    -- A webhook tells of few people at a time: the first hundred are looked through.
    case member when 'messages' then
      (select nullif(known #>> '{profile,name}', '') from jsonb_path_query(value, '$.contacts[0 to 99]') as known
       where rowcast.contact_of(known ->> 'wa_id') = contact_id or known ->> 'user_id' in (contact_id, item ->> 'from_user_id') limit 1) end,
    case kind when 'message' then rowcast.whatsapp_text(item) end,
    case kind when 'status' then item ->> 'status' end,
    case kind when 'status' then rowcast.whatsapp_error(item) end,
    rowcast.whatsapp_time(item -> 'timestamp'),
    case
      when member = 'errors' then 'WhatsApp reports: ' || coalesce(item ->> 'title', item ->> 'message', item::text)
      when kind = 'other' then format('neither a message nor a status: %s', member)
      when jsonb_typeof(item) <> 'object' then format('%s is no object', kind)
      when external_id is null then format('a %s without an id', kind)
      when octet_length(external_id) > 2000 then 'its id has more than 2,000 bytes'
      when kind = 'message' and contact_id is null then 'it says neither who sent it nor to whom'
      when kind = 'message' and octet_length(contact_id) > 500 then 'the id of its contact has more than 500 bytes'
      when kind = 'status' and (item ->> 'status' in ('sent', 'delivered', 'read', 'failed')) is not true then
        format('unknown status %s', coalesce(item -> 'status', 'null'))
    end,
    item
  from told order by nr;
end $$;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
